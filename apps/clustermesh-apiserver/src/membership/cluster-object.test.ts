/** Writes of the MeshCluster object to a real kube-apiserver: its parts are written independently. */
import assert from "node:assert/strict";
import { after, before, type TestContext, test } from "node:test";
import { type KubeClient, MESH_CLUSTERS, type MeshCluster } from "@isthmus/kube";
import type { KubeServer } from "@isthmus/kube/testing";
import { parsePrefix, systemClock } from "@isthmus/model";
import { silentLogger } from "@isthmus/observe";
import { until } from "@isthmus/testing";
import { LAST_GOOD_CONFIG } from "../settings/saved-config.js";
import { startBareCluster } from "../testing/test-cluster.js";
import { type ClusterObject, type ClusterObjectModules, createClusterObject } from "./cluster-object.js";

let kube: KubeServer;
let client: KubeClient;
before(async () => {
  ({ kube, client } = await startBareCluster());
  await until("MeshClusters are served", () =>
    client.list(MESH_CLUSTERS).then(
      () => true,
      () => false,
    ),
  );
});
after(async () => {
  client?.transport.close();
  await kube?.stop();
});

const ranges = { podCidrs: [parsePrefix("10.11.0.0/16")], serviceCidrs: [parsePrefix("10.91.0.0/16")] };
const verdict = { type: "Ready", status: "True", reason: "InSync", message: "" } as const;

function keep(t: TestContext, name: string, changes: Partial<ClusterObjectModules> = {}): ClusterObject {
  const object = createClusterObject(name, {
    ...{ client, clock: systemClock, log: silentLogger },
    spec: () => ({ name, id: 1, ...ranges }),
    status: () => ({ instance: "i", conditions: [verdict] }),
    lastGood: () => '{"cluster-name":"x"}',
    mayWrite: () => true,
    storeRequest: async () => "PEM",
    onStore: () => undefined,
    ...changes,
  });
  const stop = new AbortController();
  const running = object.run(stop.signal);
  t.after(async () => {
    stop.abort();
    await running;
  });
  return object;
}

const found = (name: string) => client.get<MeshCluster>(MESH_CLUSTERS, name);
const hasStatus = async (name: string) => (await found(name))?.status?.conditions?.length === 1;

test("the conditions are written even without a certificate request", async (t) => {
  keep(t, "keyless", { storeRequest: () => Promise.reject(new Error("the Secret holds no key")) });
  await until("its conditions", () => hasStatus("keyless"), 5000);
});

test("an up-to-date object is not written again, whatever the order of its keys", async (t) => {
  let patches = 0;
  const counting: KubeClient = {
    ...client,
    mergePatch(...call) {
      patches++;
      return client.mergePatch(...call);
    },
  };
  const object = keep(t, "calm", { client: counting });
  await until("its conditions", () => hasStatus("calm"), 5000);
  await until("its request", async () => (await found("calm"))?.status?.storeRequest === "PEM", 5000);
  await until("the watch has it", () => object.current?.status?.storeRequest === "PEM", 5000);
  await systemClock.delay(500);
  const before = patches;
  for (let i = 0; i < 4; i++) {
    object.trigger();
    await systemClock.delay(300);
  }
  assert.equal(patches - before, 0);
});

test("a refused spec is reported in the status", async (t) => {
  const spec = { id: 7, podCIDRs: ["10.12.0.0/16"], serviceCIDRs: [] };
  await client.create<MeshCluster>(MESH_CLUSTERS, { metadata: { name: "other" }, spec });
  keep(t, "other");
  await until("its conditions", () => hasStatus("other"), 5000);
  await until("its request", async () => (await found("other"))?.status?.storeRequest === "PEM", 5000);
  assert.deepEqual((await found("other"))?.spec.podCIDRs, ["10.12.0.0/16"]);
});

test("while ranges are unknown no object is created; an existing one keeps its ranges and gets the last good config", async (t) => {
  let known = {};
  const late = keep(t, "late", { spec: () => ({ name: "late", id: 1, ...known }) });
  keep(t, "beside");
  await until("another one is made", () => hasStatus("beside"));
  assert.equal(await found("late"), undefined);
  assert.match(late.missing ?? "", /once the cluster's pod ranges are known; set "pod-cidrs" in mesh-config$/);
  known = { podCidrs: ranges.podCidrs };
  assert.match(late.missing ?? "", /once the cluster's Service ranges are known; set "service-cidrs" in mesh-config$/);
  known = ranges;
  await until("it is made", () => hasStatus("late"));
  await until("nothing is missing", () => late.missing === undefined);
  assert.equal((await found("late"))?.metadata.annotations?.[LAST_GOOD_CONFIG], '{"cluster-name":"x"}');
  known = {};
  await client.mergePatch(MESH_CLUSTERS, "late", { metadata: { annotations: { [LAST_GOOD_CONFIG]: null } } });
  const kept = async () => (await found("late"))?.metadata.annotations?.[LAST_GOOD_CONFIG] !== undefined;
  await until("what is to be kept is back", kept);
  assert.deepEqual((await found("late"))?.spec.podCIDRs, ["10.11.0.0/16"]);
});

test("an object that cannot be created is missing, and the reason says what to do", async (t) => {
  const forbidden: KubeClient = { ...client, create: () => Promise.reject(new Error("Cannot create: forbidden")) };
  const object = keep(t, "refused", { client: forbidden });
  await until("its creation fails", () => /^Cannot create: forbidden; apply deploy\/base/.test(object.missing ?? ""));
  const other = keep(t, "refused", { client: forbidden, mayWrite: () => false });
  assert.equal(other.missing, undefined, "another instance creates it");
});

test("the object is written only while this instance holds the Lease", async (t) => {
  const spec = { id: 1, podCIDRs: ["10.12.0.0/16"], serviceCIDRs: ["10.91.0.0/16"] };
  await client.create<MeshCluster>(MESH_CLUSTERS, { metadata: { name: "shared" }, spec });
  let holds = false;
  keep(t, "absent", { mayWrite: () => holds });
  keep(t, "shared", { mayWrite: () => holds });
  keep(t, "holder");
  await until("the holder's object", () => hasStatus("holder"));
  const standing = await found("shared");
  assert.equal(await found("absent"), undefined);
  assert.deepEqual(
    [standing?.spec.podCIDRs, standing?.status, standing?.metadata.annotations],
    [spec.podCIDRs, undefined, undefined],
  );
  holds = true;
  await until("its object", () => hasStatus("absent"));
  await until("its status", () => hasStatus("shared"));
  await until("its ranges", async () => (await found("shared"))?.spec.podCIDRs.join() === "10.11.0.0/16");
  assert.notEqual((await found("shared"))?.metadata.annotations?.[LAST_GOOD_CONFIG], undefined);
});
