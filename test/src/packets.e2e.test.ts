/** Agents in mode `packets`: pods on two nodes of a lab of its own, by Kubernetes' own means. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { DEPLOYMENTS, NAMESPACES, PODS, SERVICES } from "@isthmus/kube";
import { type LabHandle, loadImage, openLab } from "@isthmus/lab";
import { type KeptLab, keepLab } from "@isthmus/lab/testing";
import { type Cluster, openCluster, PROBER } from "./e2e/cluster.js";
import { connects } from "./e2e/connects.js";
import { eventually } from "./e2e/eventually.js";
import { namespace, prober, servers, service } from "./e2e/objects.js";
import { probeImage } from "./e2e/probe-image.js";
import { run } from "./e2e/run.js";
import { MANAGER } from "./e2e/world.js";

const NAME = `packets-${process.pid}`;

let kept: KeptLab;
let lab: LabHandle;
let solo: Cluster;
before(async () => {
  kept = await keepLab({ name: NAME, clusters: ["solo"], nodes: 2, bare: false, datapathMode: "packets" });
  lab = await openLab(NAME);
  const [plan] = lab.plan.clusters;
  if (plan === undefined) throw new Error("Cannot test without a cluster");
  solo = openCluster(lab, plan);
  await loadImage(NAME, await probeImage());
  await solo.client.apply(NAMESPACES, namespace, MANAGER);
  await solo.client.apply(PODS, prober(PROBER, plan.nodes[0]?.name ?? ""), MANAGER);
  await solo.client.apply(SERVICES, service("web"), MANAGER);
  await solo.client.apply(DEPLOYMENTS, servers("web", "solo", 4), MANAGER);
  const waited = await solo.kubectl("wait", `pod/${PROBER}`, "--for=condition=Ready", "--timeout=60s");
  assert.equal(waited.code, 0, waited.err);
});
after(async () => {
  solo.close();
  await kept.release();
});

/** Counters of the programs of a node, by event. */
async function countsOn(node: string): Promise<Readonly<Record<string, number>>> {
  const row = (await lab.client.rows()).find((each) => each.role === "node-agent" && each.node === node);
  const { out } = await run("nsenter", ["-t", `${row?.pid}`, "-n", "curl", "-s", "http://127.0.0.1:7500/metrics"]);
  const lines = [...out.matchAll(/^mesh_datapath_events\{event="(\w+)"\} (\d+)$/gm)];
  return Object.fromEntries(lines.map(([, event, count]) => [event, Number(count)]));
}

test("pods of both nodes answer, past the stack of both; probes of the kubelets go through it", async () => {
  const target = await solo.frontend("web");
  await eventually(
    "all four pods to answer",
    () => connects(solo, target),
    ({ answers }) => new Set(answers).size === 4,
    60_000,
  );
  const counts = await Promise.all((lab.plan.clusters[0]?.nodes ?? []).map(({ name }) => countsOn(name)));
  for (const { deliver = 0, forward = 0, spoofed_source, malformed } of counts) {
    assert.ok(deliver > 0 && forward > 0, JSON.stringify(counts));
    assert.deepEqual([spoofed_source, malformed], [0, 0]);
  }
});

test("a rollout of the pods loses their rows, and the new ones answer", async () => {
  assert.equal((await solo.kubectl("rollout", "restart", "deployment/web")).code, 0);
  assert.equal((await solo.kubectl("rollout", "status", "deployment/web", "--timeout=60s")).code, 0);
  const { outcomes } = await connects(solo, await solo.frontend("web"));
  assert.deepEqual(outcomes, { open: 20 });
});
