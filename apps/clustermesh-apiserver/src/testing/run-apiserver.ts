/** Runs the whole apiserver inside a test, with a real Kubernetes API, on free ports. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  CONFIG_MAPS,
  CUSTOM_RESOURCE_DEFINITIONS,
  createKubeClient,
  createTransport,
  type KubeClient,
  type KubeObject,
  loadKubeAccess,
  MESH_CLUSTERS,
  NAMESPACES,
} from "@isthmus/kube";
import type { KubeServer } from "@isthmus/kube/testing";
import { type Logger, silentLogger } from "@isthmus/observe";
import { freePort, until } from "@isthmus/testing";
import { parse } from "yaml";
import { DEFAULT_BUDGET } from "../remote/index.js";
import { runApiserver } from "../wire.js";
import type { MeshTls } from "./mesh-tls.js";

export interface RunningApiserver {
  readonly port: number;
  readonly adminPort: number;
  readonly healthPort: number;
  get(path: string): Promise<{ readonly status: number; readonly body: string }>;
  stop(): Promise<void>;
}

export function kubeClient(kubeconfig: string): KubeClient {
  return createKubeClient(createTransport(loadKubeAccess({ kubeconfig })));
}

const CRDS = fileURLToPath(new URL("../../../../deploy/base/crds/", import.meta.url));

/** Creates a CRD of deploy/base, and waits until its objects can be read. */
export async function installCrd(client: KubeClient, plural: string): Promise<void> {
  const crd = parse(readFileSync(`${CRDS}${plural}.yaml`, "utf8")) as KubeObject;
  await client.apply(CUSTOM_RESOURCE_DEFINITIONS, crd, { manager: "test" });
  const isServed = () =>
    client.list({ ...MESH_CLUSTERS, plural }).then(
      () => true,
      () => false,
    );
  await until(`${plural} are served`, isServed);
}

/** Creates namespace, the CRD that the local cluster needs, and mesh-config, as the lab or a user would. */
export async function installSettings(client: KubeClient, data: Readonly<Record<string, string>> = {}): Promise<void> {
  await installCrd(client, "meshidentities");
  await client.apply(NAMESPACES, { metadata: { name: "mesh-system" } }, { manager: "test" });
  await client.apply(
    CONFIG_MAPS,
    {
      metadata: { namespace: "mesh-system", name: "mesh-config" },
      data: {
        "cluster-name": "east",
        "cluster-id": "1",
        "pod-cidrs": "10.11.0.0/16",
        servers: "127.0.0.1:7443",
        ...data,
      },
    } as Parameters<typeof client.apply>[1],
    { manager: "test", force: true },
  );
}

export interface ApiserverOptions {
  readonly metricsAddress?: string;
  readonly instance?: string;
  readonly log?: Logger;
  /** Free ports when absent. */
  readonly port?: number;
  readonly adminPort?: number;
  readonly healthPort?: number;
}

export async function startApiserver(
  server: Pick<KubeServer, "kubeconfig">,
  tls: MeshTls,
  options: ApiserverOptions = {},
): Promise<RunningApiserver> {
  const launched = await launchApiserver(server, tls, options);
  await until("apiserver is ready", async () => {
    launched.throwIfFailed();
    return launched.get("/readyz").then(
      ({ status }) => status === 200,
      () => false,
    );
  });
  return launched;
}

/** Starts the apiserver and does not wait until it is ready. */
export async function launchApiserver(
  server: Pick<KubeServer, "kubeconfig">,
  tls: MeshTls,
  options: ApiserverOptions = {},
): Promise<RunningApiserver & { throwIfFailed(): void }> {
  const port = options.port ?? (await freePort());
  const adminPort = options.adminPort ?? (await freePort());
  const healthPort = options.healthPort ?? (await freePort());
  const controller = new AbortController();
  let failure: unknown;
  const running = runApiserver(
    {
      kubeconfig: server.kubeconfig,
      namespace: "mesh-system",
      instance: options.instance ?? "test-1",
      listen: `127.0.0.1:${port}`,
      admin: `127.0.0.1:${adminPort}`,
      health: `127.0.0.1:${healthPort}`,
      metricsAddress: options.metricsAddress,
      tlsDir: tls.folder,
      budget: DEFAULT_BUDGET,
      shutdownDelayMs: 0,
    },
    options.log ?? silentLogger,
    controller.signal,
  ).catch((thrown: unknown) => {
    failure = thrown;
  });
  return {
    ...{ port, adminPort, healthPort },
    async get(path) {
      const response = await fetch(`http://127.0.0.1:${healthPort}${path}`);
      return { status: response.status, body: await response.text() };
    },
    throwIfFailed() {
      if (failure !== undefined) throw failure;
    },
    async stop() {
      controller.abort(new Error("test is over"));
      await running;
      if (failure !== undefined) throw failure;
    },
  };
}
