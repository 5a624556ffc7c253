/** A mesh-config that cannot be used, against a real Kubernetes API: at run time, over a restart, and at the very first start. */
import assert from "node:assert/strict";
import { after, before, describe, type TestContext, test } from "node:test";
import { credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import {
  ADMIN_AUDIENCE,
  CONFIG_MAPS,
  EVENTS,
  type KubeClient,
  type KubeObject,
  MESH_CLUSTERS,
  MESH_PEERS,
  type MeshCluster,
  type MeshPeer,
  requestToken,
  SERVICE_ACCOUNTS,
} from "@isthmus/kube";
import { AdminClient, type StatusResponse } from "@isthmus/proto";
import { until } from "@isthmus/testing";
import { createMeshTls, type MeshTls } from "./testing/mesh-tls.js";
import { installSettings, launchApiserver, startApiserver } from "./testing/run-apiserver.js";
import { connectAgent } from "./testing/test-agent.js";
import {
  applyService,
  patchConfig,
  startBareCluster,
  startTestCluster,
  type TestCluster,
} from "./testing/test-cluster.js";

type Event = KubeObject & {
  readonly reason?: string;
  readonly note?: string;
  readonly regarding?: { readonly kind: string };
};

async function eventsOn(client: KubeClient, kind: string, note: RegExp): Promise<boolean> {
  const all = await client.list<Event>(EVENTS);
  return all.some((event) => event.regarding?.kind === kind && note.test(event.note ?? ""));
}

async function agentOf(t: TestContext, of: { readonly tls: MeshTls; readonly port: number }, node: string) {
  const agent = await connectAgent({ port: of.port, node, tls: await of.tls.node(node) });
  t.after(() => agent.close());
  return agent;
}

describe("in a cluster that has taken part in a mesh", () => {
  let east: TestCluster;
  const accepted = async () => {
    const condition = await east.condition("ConfigAccepted");
    return condition && `${condition.status} ${condition.message}`;
  };
  before(async () => {
    east = await startTestCluster("east", 1);
    const spec = { id: 2, podCIDRs: ["10.12.0.0/16"], serviceCIDRs: ["10.92.0.0/16"], uid: "u" };
    await east.client.create<MeshPeer>(MESH_PEERS, { metadata: { name: "west" }, spec });
    await applyService(east, "cart", "10.11.1.5", {});
    await until("all is well", async () => (await accepted()) === "True mesh-config is in force");
  });
  after(() => east?.stop());

  const original = { "pod-cidrs": "10.11.0.0/16" };
  const remove = () => east.client.delete(CONFIG_MAPS, "mesh-config", { namespace: "mesh-system" });
  const restore = () =>
    installSettings(east.client, { "service-cidrs": "10.91.0.0/16", "admin-servers": "127.0.0.1:7444", ...original });
  const rows = [
    ["junk", () => patchConfig(east, { "pod-cidrs": "junk" }), /"pod-cidrs" is "junk".*write it like/, "ConfigMap"],
    ["nothing", () => patchConfig(east, { "pod-cidrs": "" }), /"pod-cidrs" is missing, set it/, "ConfigMap"],
    [
      "a peer's range",
      () => patchConfig(east, { "pod-cidrs": "10.8.0.0/13" }),
      /"pod-cidrs" is "10\.8\.0\.0\/13": .*"10\.12\.0\.0\/16" of MeshPeer "west"/,
      "ConfigMap",
    ],
    [
      "everything",
      () => patchConfig(east, { "pod-cidrs": "10.0.0.0/8" }),
      /"10\.0\.0\.0\/8" in "pod-cidrs" overlaps "10\.91\.0\.0\/16" in "service-cidrs", write disjoint ones/,
      "ConfigMap",
    ],
    ["no ConfigMap", remove, /"mesh-system\/mesh-config" does not exist: create it/, "MeshCluster"],
  ] as const;
  for (const [what, change, sentence, eventOn] of rows) {
    test(`${what}: the last good values stay in force, also after a restart, and it is reported`, async (t) => {
      await change();
      const isReported = async () => {
        const text = (await accepted()) ?? "";
        return text.startsWith("False ") && sentence.test(text) && /The last good values stay in force/.test(text);
      };
      await until("the condition", isReported);
      for (const kind of ["MeshCluster", eventOn])
        await until(`an Event on ${kind}`, () => eventsOn(east.client, kind, sentence));
      assert.equal((await east.apiserver.get("/readyz")).status, 200);
      await east.apiserver.stop();
      east.apiserver = await startApiserver(east.kube, east.tls);
      const agent = await agentOf(t, { tls: east.tls, port: east.apiserver.port }, "n1");
      await until("agents are served", () => agent.value(0, "slices/shop/cart/cart-1") !== undefined);
      await until("the condition after the restart", isReported);
      assert.deepEqual((await east.meshCluster())?.spec.podCIDRs, ["10.11.0.0/16"]);
      await restore();
      await until("all is well again", async () => (await accepted()) === "True mesh-config is in force");
    });
  }

  test("a range that its peer gives up is accepted without a further change of mesh-config", async () => {
    await patchConfig(east, { "pod-cidrs": "10.11.0.0/16,10.12.0.0/16" });
    await until("refused", async () => /of MeshPeer "west"/.test((await accepted()) ?? ""));
    await east.client.delete(MESH_PEERS, "west");
    await until("in force", async () => (await east.meshCluster())?.spec.podCIDRs.length === 2);
    await until("the condition True", async () => (await accepted()) === "True mesh-config is in force");
  });
});

test("without a usable mesh-config both ports report it; name and id suffice to serve agents; a usable one enables all", async (t) => {
  const [{ kube, client }, tls] = await Promise.all([startBareCluster(), createMeshTls()]);
  const running = await launchApiserver(kube, tls);
  t.after(async () => {
    await running.stop();
    client.transport.close();
    tls.remove();
    await kube.stop();
  });
  const { port, adminPort } = running;
  const ready = () => running.get("/readyz").catch(() => ({ status: 0, body: "" }));
  const meshCluster = () => client.get<MeshCluster>(MESH_CLUSTERS, "east");

  const missing =
    /"mesh-system\/mesh-config" does not exist: create it\. Nothing is served until mesh-config is usable/;
  await until("not ready, and why", async () => missing.test((await ready()).body));
  const early = await agentOf(t, { tls, port }, "n1");
  await until("the agent gets the reason", () => missing.test(early.error?.details ?? ""));
  const token = await adminToken(client);
  const refusal = () =>
    status(adminPort, tls, token).then(
      () => "",
      (error: ServiceError) => error.message,
    );
  // The account's permission may take a moment to apply.
  await until("the operator gets the reason", async () => missing.test(await refusal()) && /^9 /.test(await refusal()));
  await assert.rejects(status(adminPort, tls, "nonsense"), { code: 16 });

  await installSettings(client, { "pod-cidrs": "junk" });
  await until("ready", async () => (await ready()).status === 200);
  await applyService({ client }, "cart", "10.11.1.5", { "service.cilium.io/global": "true" });
  const agent = await agentOf(t, { tls, port }, "n1");
  await until("agents are served", () => agent.value(0, "slices/shop/cart/cart-1") !== undefined);
  await until("an Event", () => eventsOn(client, "ConfigMap", /"pod-cidrs" is "junk".*the cluster joins no mesh/));
  assert.match((await status(adminPort, tls, token)).publisher?.message ?? "", /pod and Service ranges/);
  assert.equal(await meshCluster(), undefined);

  await installSettings(client);
  await until("the object is made", async () => (await meshCluster())?.spec.podCIDRs.join() === "10.11.0.0/16");
  assert.equal(agent.source(0).broken, undefined);
});

/** Token of an account that may do anything. */
async function adminToken(client: KubeClient): Promise<string> {
  await client.create(SERVICE_ACCOUNTS, { metadata: { namespace: "mesh-system", name: "mesh-cli" } });
  const group = "rbac.authorization.k8s.io";
  const bindings = {
    group,
    version: "v1",
    plural: "clusterrolebindings",
    kind: "ClusterRoleBinding",
    namespaced: false,
  };
  await client.create(bindings, {
    metadata: { name: "mesh-cli" },
    roleRef: { apiGroup: group, kind: "ClusterRole", name: "cluster-admin" },
    subjects: [{ kind: "ServiceAccount", namespace: "mesh-system", name: "mesh-cli" }],
  } as KubeObject);
  return (await requestToken(client, "mesh-system", "mesh-cli", 600, [ADMIN_AUDIENCE])).token;
}

function status(port: number, tls: MeshTls, token: string): Promise<StatusResponse> {
  const client = new AdminClient(`127.0.0.1:${port}`, credentials.createSsl(Buffer.from(tls.ca)));
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${token}`);
  return new Promise<StatusResponse>((resolve, reject) =>
    client.status({ figures: false }, metadata, (error: ServiceError | null, answer) =>
      error === null ? resolve(answer) : reject(error),
    ),
  ).finally(() => client.close());
}
