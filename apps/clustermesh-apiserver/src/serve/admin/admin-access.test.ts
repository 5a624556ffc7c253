/** The admin API over real gRPC; a real kube-apiserver with the RBAC of deploy/base reviews its callers. */
import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import {
  ADMIN_AUDIENCE,
  type KubeClient,
  type KubeObject,
  NAMESPACES,
  type Resource,
  requestToken,
  SERVICE_ACCOUNTS,
} from "@isthmus/kube";
import { type KubeServer, startKubeServer } from "@isthmus/kube/testing";
import { parseClusterId, systemClock } from "@isthmus/model";
import { silentLogger } from "@isthmus/observe";
import { AdminClient, StatusResponse } from "@isthmus/proto";
import { freePort } from "@isthmus/testing";
import { parseAllDocuments } from "yaml";
import { createFakeSources } from "../../testing/fake-source.js";
import { createMeshTls, type MeshTls } from "../../testing/mesh-tls.js";
import { kubeClient } from "../../testing/run-apiserver.js";
import { createAgentQueries } from "../agents/agent-queries.js";
import type { RunningServer } from "../grpc/grpc-server.js";
import { watchTlsFiles } from "../grpc/tls-files.js";
import { createAdminAuth } from "./admin-auth.js";
import { startAdminServer } from "./admin-server.js";

const RBAC = fileURLToPath(new URL("../../../../../deploy/base/rbac/mesh-cli.yaml", import.meta.url));
const ROLES: Resource = {
  group: "rbac.authorization.k8s.io",
  version: "v1",
  plural: "clusterroles",
  kind: "ClusterRole",
  namespaced: false,
};
const BINDINGS: Resource = { ...ROLES, plural: "clusterrolebindings", kind: "ClusterRoleBinding" };

let kube: KubeServer;
let client: KubeClient;
let tls: MeshTls;
let server: RunningServer;
const closing: (() => Promise<void> | void)[] = [];

before(async () => {
  [kube, tls] = await Promise.all([startKubeServer(), createMeshTls()]);
  client = kubeClient(kube.kubeconfig);
  await client.create(NAMESPACES, { metadata: { name: "mesh-system" } });
  const resources = [SERVICE_ACCOUNTS, ROLES, BINDINGS];
  for (const document of parseAllDocuments(readFileSync(RBAC, "utf8"))) {
    const object = document.toJS() as KubeObject & { readonly kind: string };
    const resource = resources.find(({ kind }) => kind === object.kind);
    assert.ok(resource !== undefined, object.kind);
    await client.create(resource, object);
  }
  for (const name of ["viewer", "nobody"])
    await client.create(SERVICE_ACCOUNTS, { metadata: { namespace: "mesh-system", name } });
  await mayGetMeshClusters("viewer");
  const files = watchTlsFiles(tls.folder, silentLogger);
  const auth = createAdminAuth({ client, clock: systemClock });
  server = await startAdminServer(
    { address: "127.0.0.1:0", clusterId: parseClusterId(1), cluster: "east" },
    {
      auth,
      tls: files,
      log: silentLogger,
      clock: systemClock,
      sources: createFakeSources(),
      status: () => StatusResponse.fromPartial({ cluster: "east" }),
      monitor: { queries: createAgentQueries(), nodes: () => [] },
    },
  );
  closing.push(
    () => server.close(500),
    () => auth.close(),
    () => files.close(),
  );
});

after(async () => {
  for (const close of closing) await close();
  client?.transport.close();
  tls?.remove();
  await kube?.stop();
});

async function mayGetMeshClusters(name: string): Promise<void> {
  const rules = [{ apiGroups: ["mesh.isthmus.io"], resources: ["meshclusters"], verbs: ["get", "list", "watch"] }];
  await client.create(ROLES, { metadata: { name }, rules } as unknown as KubeObject);
  await client.create(BINDINGS, {
    metadata: { name },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name },
    subjects: [{ kind: "ServiceAccount", namespace: "mesh-system", name }],
  } as unknown as KubeObject);
}

async function ask(
  token: string,
  call: "status" | "checkStore" | "monitor",
  endpoint = "https://127.0.0.1:1",
): Promise<status> {
  const admin = new AdminClient(`127.0.0.1:${server.port}`, credentials.createSsl(Buffer.from(tls.ca)));
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${token}`);
  return new Promise<status>((resolve) => {
    const done = (error: ServiceError | null) => {
      admin.close();
      resolve(error?.code ?? status.OK);
    };
    if (call === "monitor") {
      const events = admin.monitor({ filter: undefined, nodes: [] }, metadata);
      events.on("error", done);
      events.on("data", () => done(null));
    } else if (call === "status") admin.status({ figures: false }, metadata, done);
    else admin.checkStore({ endpoints: [endpoint], ca: tls.ca }, metadata, done);
  });
}

const tokenOf = async (account: string, audiences: readonly string[] = [ADMIN_AUDIENCE]) =>
  (await requestToken(client, "mesh-system", account, 600, audiences)).token;

test("a caller who may read the mesh's objects gets the status but cannot dial a store; mesh-cli may do both", async () => {
  const [cli, viewer, nobody] = [await tokenOf("mesh-cli"), await tokenOf("viewer"), await tokenOf("nobody")];
  assert.equal(await ask(nobody, "status"), status.PERMISSION_DENIED);
  assert.equal(await ask(nobody, "checkStore"), status.PERMISSION_DENIED);
  assert.equal(await ask(viewer, "status"), status.OK);
  assert.equal(await ask(viewer, "checkStore"), status.PERMISSION_DENIED);
  assert.equal(await ask(cli, "status"), status.OK);
  assert.equal(await ask(cli, "checkStore"), status.OK);
});

test("the right to read the mesh's objects does not show flows; mesh-cli has the one that does", async () => {
  const [cli, viewer] = [await tokenOf("mesh-cli"), await tokenOf("viewer")];
  assert.equal(await ask(viewer, "monitor"), status.PERMISSION_DENIED);
  assert.equal(await ask(cli, "monitor"), status.OK);
});

test("a token for the Kubernetes API is refused by the admin API, and the other way round", async () => {
  assert.equal(await ask(await tokenOf("mesh-cli", []), "status"), status.UNAUTHENTICATED);
  const stolen = kube.writeKubeconfig("stolen", { token: await tokenOf("mesh-cli") });
  const other = kubeClient(stolen);
  await assert.rejects(other.transport.json({ method: "GET", path: "/api" }), { status: 401 });
  other.transport.close();
});

/** A ServiceAccount token as `key` would sign it. */
function forge(genuine: string, key: KeyObject, change: object): string {
  const [header = "", payload = ""] = genuine.split(".");
  const claims = JSON.parse(Buffer.from(payload, "base64url").toString()) as object;
  const body = Buffer.from(JSON.stringify({ ...claims, ...change })).toString("base64url");
  const signature = sign("sha256", Buffer.from(`${header}.${body}`), { key, dsaEncoding: "ieee-p1363" });
  return `${header}.${body}.${signature.toString("base64url")}`;
}

test("tokens that are expired, altered, of another cluster or absent are refused", async () => {
  const genuine = await tokenOf("mesh-cli");
  const ours = createPrivateKey(readFileSync(join(kube.folder, "sa.key")));
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  assert.equal(
    await ask(forge(genuine, ours, {}), "status"),
    status.OK,
    "a token signed with the cluster's key is accepted",
  );
  const past = Math.floor(Date.now() / 1000) - 600;
  const bad = [
    forge(genuine, ours, { exp: past, iat: past - 600, nbf: past - 600 }),
    forge(genuine, privateKey, {}),
    `${genuine.slice(0, -4)}AAAA`,
    "x".repeat(4000),
  ];
  for (const token of bad) assert.equal(await ask(token, "status"), status.UNAUTHENTICATED);
});

test("when nothing listens at the address to dial, the caller learns only that", async () => {
  assert.equal(await ask(await tokenOf("mesh-cli"), "checkStore", `https://127.0.0.1:${await freePort()}`), status.OK);
});
