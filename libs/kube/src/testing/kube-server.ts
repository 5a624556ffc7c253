/**
 * A real kube-apiserver with its etcd, on loopback ports and a temporary folder: for tests.
 *
 * Binaries: kube-binary.ts. Tokens: "admin-token" is a system:masters user, "nobody-token" may do nothing.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { closeSync, cpSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freePort } from "@isthmus/testing";
import { loadKubeAccess } from "../config.js";
import { createTransport } from "../transport.js";
import { kubeBinary } from "./kube-binary.js";

export interface KubeServer {
  readonly folder: string;
  readonly port: number;
  readonly etcdPort: number;
  /** A kubeconfig of the admin, in a file. */
  readonly kubeconfig: string;
  /** A kubeconfig for another address or token. */
  writeKubeconfig(
    name: string,
    options: { readonly port?: number; readonly token?: string; readonly tokenFile?: string },
  ): string;
  /** Sends SIGKILL and waits for the exit. */
  killApi(): Promise<void>;
  /** Starts it again on the same data and port; resolves when ready. */
  startApi(): Promise<void>;
  /** Sends a signal to the API server. After SIGSTOP it accepts connections and does not answer. */
  signal(name: NodeJS.Signals): void;
  /** Makes a backup of the data of its etcd, with both processes stopped meanwhile. */
  backUp(): Promise<void>;
  /** Restores the backup as etcd's documentation describes it: with the API server stopped. */
  restoreBackup(): Promise<void>;
  /** Runs etcdctl with the endpoint of this etcd; resolves with its stdout. */
  etcdctl(...args: string[]): Promise<string>;
  stop(): Promise<void>;
}

/** At Go's default of 100, a fifth of the processor time of a start is garbage collection; 90 MiB more for each API server. */
const SHORT_LIVED = { ...process.env, GOGC: "400" };

export async function startKubeServer(): Promise<KubeServer> {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-kube-"));
  const [port, etcdPort, peerPort] = (await Promise.all([freePort(), freePort(), freePort()])) as [
    number,
    number,
    number,
  ];
  const children = new Set<ChildProcess>();
  const start = (name: string, args: string[]): ChildProcess => {
    const log = openSync(join(folder, `${name}.log`), "a");
    const child = spawn(kubeBinary(name), args, { env: SHORT_LIVED, stdio: ["ignore", log, log] });
    closeSync(log);
    children.add(child);
    child.once("exit", () => children.delete(child));
    return child;
  };
  const killAll = () => {
    for (const child of children) child.kill("SIGKILL");
  };
  process.once("exit", killAll);

  writeCredentials(folder);
  const startEtcd = () => start("etcd", etcdArguments(folder, etcdPort, peerPort));
  let etcd = startEtcd();
  let api: ChildProcess | undefined;
  /** Runs `work` while both processes are stopped. */
  const offline = async (work: () => void): Promise<void> => {
    await server.killApi();
    const exited = once(etcd, "exit");
    etcd.kill("SIGKILL");
    await exited;
    work();
    etcd = startEtcd();
    await server.startApi();
  };
  const [data, kept] = [join(folder, "etcd"), join(folder, "etcd-kept")];
  const server: KubeServer = {
    folder,
    port,
    etcdPort,
    kubeconfig: join(folder, "admin.kubeconfig"),
    writeKubeconfig(name, options) {
      const file = join(folder, `${name}.kubeconfig`);
      writeFileSync(file, kubeconfigText(folder, { port, token: "admin-token", ...options }));
      return file;
    },
    async killApi() {
      const exited = api === undefined ? Promise.resolve() : once(api, "exit");
      api?.kill("SIGKILL");
      await exited;
    },
    async startApi() {
      api = start("kube-apiserver", apiArguments(folder, port, etcdPort));
      await untilReady(api, server.kubeconfig, folder);
    },
    signal: (name) => {
      api?.kill(name);
    },
    backUp: () => offline(() => cpSync(data, kept, { recursive: true })),
    restoreBackup: () =>
      offline(() => {
        rmSync(data, { recursive: true });
        cpSync(kept, data, { recursive: true });
      }),
    async etcdctl(...args) {
      const child = spawn(kubeBinary("etcdctl"), ["--endpoints", `http://127.0.0.1:${etcdPort}`, ...args]);
      let out = "";
      child.stdout.on("data", (data: Buffer) => (out += data.toString()));
      const [code] = (await once(child, "close")) as [number];
      if (code !== 0) throw new Error(`Cannot run etcdctl ${args.join(" ")}: exit ${code}`);
      return out;
    },
    async stop() {
      const exited = Promise.all([...children].map((child) => once(child, "exit")));
      killAll();
      await exited;
      process.off("exit", killAll);
      rmSync(folder, { recursive: true, force: true });
    },
  };
  try {
    while (!existsSync(join(folder, "apiserver.crt"))) {
      // The kubeconfig refers to the certificate that the API server writes at its start.
      writeFileSync(server.kubeconfig, kubeconfigText(folder, { port, token: "admin-token" }));
      await server.startApi();
    }
    return server;
  } catch (thrown) {
    await server.stop();
    throw thrown;
  }
}

async function untilReady(api: ChildProcess, kubeconfig: string, folder: string): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (Date.now() < deadline) {
    if (api.exitCode !== null || api.signalCode !== null) break;
    if (existsSync(join(folder, "apiserver.crt")) && (await isReady(kubeconfig))) return;
    await delay(100);
  }
  const log = readFileSync(join(folder, "kube-apiserver.log"), "utf8").split("\n").slice(-15).join("\n");
  throw new Error(`Cannot start kube-apiserver:\n${log}`);
}

/** Every start hook has ended and a Service gets a ClusterIP: `/readyz` alone does not wait for the allocator's informers. */
async function isReady(kubeconfig: string): Promise<boolean> {
  const transport = createTransport(loadKubeAccess({ kubeconfig }));
  const body = { apiVersion: "v1", kind: "Service", metadata: { name: "ready" }, spec: { ports: [{ port: 80 }] } };
  const [path, query] = ["/api/v1/namespaces/default/services", { dryRun: "All" }];
  try {
    (await transport.stream({ method: "GET", path: "/readyz" })).destroy();
    await transport.json({ method: "POST", path, query, body });
    return true;
  } catch {
    return false;
  } finally {
    transport.close();
  }
}

function writeCredentials(folder: string): void {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  writeFileSync(join(folder, "sa.key"), privateKey.export({ type: "sec1", format: "pem" }));
  writeFileSync(join(folder, "sa.pub"), publicKey.export({ type: "spki", format: "pem" }));
  writeFileSync(join(folder, "tokens.csv"), 'admin-token,admin,1,"system:masters"\nnobody-token,nobody,2\n');
}

function etcdArguments(folder: string, port: number, peerPort: number): string[] {
  return [
    `--data-dir=${join(folder, "etcd")}`,
    `--listen-client-urls=http://127.0.0.1:${port}`,
    `--advertise-client-urls=http://127.0.0.1:${port}`,
    `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
    `--initial-advertise-peer-urls=http://127.0.0.1:${peerPort}`,
    `--initial-cluster=default=http://127.0.0.1:${peerPort}`,
    "--unsafe-no-fsync",
  ];
}

function apiArguments(folder: string, port: number, etcdPort: number): string[] {
  return [
    `--etcd-servers=http://127.0.0.1:${etcdPort}`,
    "--bind-address=127.0.0.1",
    `--secure-port=${port}`,
    `--cert-dir=${folder}`,
    "--service-cluster-ip-range=10.96.0.0/16",
    "--service-account-issuer=https://kubernetes.default.svc",
    `--service-account-key-file=${join(folder, "sa.pub")}`,
    `--service-account-signing-key-file=${join(folder, "sa.key")}`,
    `--token-auth-file=${join(folder, "tokens.csv")}`,
    "--authorization-mode=RBAC",
    "--allow-privileged=true",
    "--enable-priority-and-fairness=false",
  ];
}

function kubeconfigText(
  folder: string,
  options: { readonly port: number; readonly token?: string; readonly tokenFile?: string },
): string {
  const user = options.tokenFile === undefined ? { token: options.token } : { tokenFile: options.tokenFile };
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "test",
    contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
    clusters: [
      {
        name: "test",
        cluster: {
          server: `https://127.0.0.1:${options.port}`,
          "certificate-authority": join(folder, "apiserver.crt"),
        },
      },
    ],
    users: [{ name: "test", user }],
  });
}
