/** Agents in mode `packets`: pods of two clusters in a lab of its own, by Kubernetes' own means. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { DEPLOYMENTS, NAMESPACES, PODS, SERVICES } from "@isthmus/kube";
import { type KeptLab, keepLab, type LabHandle, loadImage, openLab } from "@isthmus/lab";
import { eventsOn } from "./e2e/agents.js";
import { type Cluster, openCluster, PROBER } from "./e2e/cluster.js";
import { connects } from "./e2e/connects.js";
import { eventually } from "./e2e/eventually.js";
import { NAMESPACE, namespace, prober, servers, service } from "./e2e/objects.js";
import { openPacketPods, type PacketPods } from "./e2e/packet-pods.js";
import { probeImage } from "./e2e/probe-image.js";
import { packetFaultTests } from "./e2e/suites/packet-faults.js";
import { packetPathTests } from "./e2e/suites/packet-paths.js";
import { packetPolicyTests } from "./e2e/suites/packet-policy.js";
import { packetPolicyCaseTests } from "./e2e/suites/packet-policy-cases.js";
import { packetRescueTests } from "./e2e/suites/packet-rescue.js";
import { packetSpoofingTests } from "./e2e/suites/packet-spoofing.js";
import { MANAGER, meshOf } from "./e2e/world.js";

const NAME = `packets-${process.pid}`;

let kept: KeptLab;
let lab: LabHandle;
let solo: Cluster;
let pods: PacketPods | undefined;
before(async () => {
  kept = await keepLab({ name: NAME, clusters: ["solo", "other"], nodes: 2, bare: false, datapathMode: "packets" });
  lab = await openLab(NAME);
  const [plan] = lab.plan.clusters;
  if (plan === undefined) throw new Error("Cannot test without a cluster");
  solo = openCluster(lab, plan);
  await loadImage(NAME, await probeImage());
  await solo.client.apply(NAMESPACES, namespace, MANAGER);
  await solo.client.apply(PODS, prober(PROBER, plan.nodes[0]?.name ?? ""), MANAGER);
  for (const name of ["web", "idle"]) await solo.client.apply(SERVICES, service(name), MANAGER);
  await solo.client.apply(DEPLOYMENTS, servers("web", "solo", 4), MANAGER);
  const waited = await solo.kubectl("wait", `pod/${PROBER}`, "--for=condition=Ready", "--timeout=60s");
  assert.equal(waited.code, 0, waited.err);
  pods = await openPacketPods(lab, solo);
});
after(async () => {
  pods?.close();
  solo.close();
  await kept.release();
});

test("pods of both nodes answer, past the stack of both; probes of the kubelets go through it", async () => {
  const target = await solo.frontend("web");
  await eventually(
    "all four pods to answer",
    () => connects(solo, target),
    ({ answers }) => new Set(answers).size === 4,
    60_000,
  );
  const counts = await Promise.all((lab.plan.clusters[0]?.nodes ?? []).map((node) => eventsOn(lab, node)));
  for (const { deliver = 0, forward = 0, spoofed_source, malformed } of counts) {
    assert.ok(deliver > 0 && forward > 0, JSON.stringify(counts));
    assert.deepEqual([spoofed_source, malformed], [0, 0]);
  }
});

/** The CLI as a user of the lab runs it. */
const mesh = (...args: readonly string[]) => meshOf(lab)(...args);

interface MonitorLine {
  readonly nodes?: readonly { readonly node: string; readonly heard: boolean }[];
  readonly event?: {
    readonly node: string;
    readonly kind: string;
    readonly verdict: string;
    readonly source: { readonly pod?: string };
    readonly destination: { readonly pod?: string; readonly port: number };
    readonly service?: {
      readonly address: string;
      readonly port: number;
      readonly namespace?: string;
      readonly name?: string;
    };
  };
}

const monitorLines = (out: string) =>
  out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as MonitorLine);

test("mesh monitor hears both nodes and shows the flows of a pod, their Service, their verdicts and their close", async () => {
  const target = await solo.frontend("web");
  let watching = true;
  const monitor = (...filter: readonly string[]) =>
    mesh("monitor", "--context", solo.plan.name, ...filter, "--for", "10s", "-o", "json");
  const ended = Promise.all([
    monitor("--from", `${NAMESPACE}/${PROBER}`),
    monitor("--service", `${NAMESPACE}/web`),
    monitor("--service", `${NAMESPACE}/idle`),
  ]).finally(() => {
    watching = false;
  });
  while (watching) await connects(solo, target);
  const [{ code, out, err }, ofService, ofOther] = await ended;
  assert.equal(code, 0, err);
  const lines = monitorLines(out);
  const names = solo.plan.nodes.map(({ name }) => name);
  assert.deepEqual(
    lines.find(({ nodes }) => nodes !== undefined)?.nodes,
    names.map((node) => ({ node, heard: true })),
  );
  const events = lines.flatMap(({ event }) => event ?? []);
  assert.ok(events.length > 0, err);
  for (const { node, source } of events) assert.deepEqual([node, source.pod], [names[0], PROBER]);
  const seen = new Set(events.map(({ kind, verdict }) => `${kind} ${verdict}`));
  assert.ok(seen.has("new delivered") && seen.has("new forwarded"), [...seen].join(", "));
  assert.ok(
    events.some(({ kind }) => kind === "closed"),
    [...seen].join(", "),
  );
  const [address, port] = target.split(":");
  const web = { address, port: Number(port), namespace: NAMESPACE, name: "web" };
  for (const event of events) assert.deepEqual(event.service, web, JSON.stringify(event));
  assert.equal(ofService.code, 0, ofService.err);
  const dialled = monitorLines(ofService.out).flatMap(({ event }) => event ?? []);
  assert.ok(
    dialled.some(({ source }) => source.pod === PROBER),
    ofService.err,
  );
  for (const event of dialled) assert.deepEqual(event.service, web, JSON.stringify(event));
  assert.equal(ofOther.code, 0, ofOther.err);
  assert.deepEqual(
    monitorLines(ofOther.out).flatMap(({ event }) => event ?? []),
    [],
  );
  const local = events.find(({ kind, verdict }) => kind === "new" && verdict === "delivered");
  assert.match(local?.destination.pod ?? "", /^web-/);
  const nobody = await mesh("monitor", "--context", solo.plan.name, "--from", `${NAMESPACE}/nobody`);
  assert.equal(nobody.code, 1);
  assert.match(nobody.err, /^Cannot monitor pod ".*\/nobody": context "solo" has no such pod; see: kubectl/);
});

interface FlowLine {
  readonly row: { readonly service: string; readonly vip: string; readonly vipPort: number | null };
}

test("mesh bpf shows the pods of a node and the flows between them", async () => {
  const [node = ""] = solo.plan.nodes.map(({ name }) => name);
  const at = ["--context", solo.plan.name, "--node", node];
  const target = await solo.frontend("web");
  await connects(solo, target);
  const found = await solo.kubectl("get", "pod", PROBER, "-o", "jsonpath={.status.podIP}");
  const endpoints = await mesh("bpf", "dump", "endpoints", ...at);
  assert.equal(endpoints.code, 0, endpoints.err);
  assert.ok(
    endpoints.out.split("\n").some((line) => line.split(/\s+/).includes(found.out)),
    endpoints.out,
  );
  const flows = await mesh("bpf", "conntrack", ...at, "--from", `${NAMESPACE}/${PROBER}`, "-o", "json");
  assert.equal(flows.code, 0, flows.err);
  const lines = flows.out.trimEnd().split("\n");
  const rows = lines.filter((line) => !("summary" in JSON.parse(line)));
  assert.equal(rows.length, lines.length - 1, "the last line says what was left out");
  assert.ok(rows.length >= 4, flows.out);
  for (const line of rows) assert.ok(line.includes(found.out), line);
  const dialled = rows.map((line) => (JSON.parse(line) as FlowLine).row);
  assert.ok(
    dialled.some(({ service, vip, vipPort }) => service === `${NAMESPACE}/web` && `${vip}:${vipPort}` === target),
    flows.out,
  );
  const unknown = await mesh("bpf", "dump", "flows", ...at);
  assert.equal(unknown.code, 2, unknown.err);
});

interface FiguresJson {
  readonly nodes: readonly {
    readonly node: string;
    readonly figures: {
      readonly datapathMode: string;
      readonly flows: { readonly used: number; readonly capacity: number };
      readonly pods: { readonly used: number };
      readonly counters: Readonly<Record<string, { readonly total: number; readonly lastMinute: number }>>;
      readonly drops: Readonly<Record<string, { readonly total: number }>>;
    } | null;
  }[];
}

test("mesh status --verbose shows what the agents of both nodes count", async () => {
  const target = await solo.frontend("web");
  await connects(solo, target);
  const counts = () => Promise.all(solo.plan.nodes.map((node) => eventsOn(lab, node)));
  const before = await counts();
  const ran = await mesh("status", "--context", solo.plan.name, "--verbose", "-o", "json");
  const after = await counts();
  assert.equal(ran.code, 0, ran.err);
  const { nodes } = JSON.parse(ran.out) as FiguresJson;
  const names = solo.plan.nodes.map(({ name }) => name);
  assert.deepEqual(nodes.map(({ node }) => node).sort(), names);
  for (const { node, figures } of nodes) {
    const i = names.indexOf(node);
    for (const name of ["flow_new", "deliver", "forward"]) {
      const { total = 0, lastMinute = 0 } = figures?.counters[name] ?? {};
      assert.ok((before[i]?.[name] ?? 0) <= total && total <= (after[i]?.[name] ?? 0), `${name} ${total}`);
      assert.ok(lastMinute > 0 && lastMinute <= total, `${name} ${lastMinute} of ${total}`);
    }
    assert.deepEqual([figures?.datapathMode, figures?.drops["spoofed_source"]?.total], ["packets", 0]);
    assert.ok((figures?.pods.used ?? 0) > 0 && (figures?.flows.capacity ?? 0) > (figures?.flows.used ?? 0));
  }
  const table = await mesh("status", "--context", solo.plan.name, "--verbose");
  for (const name of names) {
    assert.match(table.out, new RegExp(`^solo +${name} +\\d+/524288 \\d+% .* \\d+ \\+\\d+ `, "m"));
    assert.match(table.out, new RegExp(`^solo +${name} .* none$`, "m"));
  }
  const without = await mesh("status", "--context", solo.plan.name, "-o", "json");
  assert.equal("nodes" in (JSON.parse(without.out) as object), false);
});

test("a rollout of the pods loses their rows, and the new ones answer", async () => {
  assert.equal((await solo.kubectl("rollout", "restart", "deployment/web")).code, 0);
  assert.equal((await solo.kubectl("rollout", "status", "deployment/web", "--timeout=60s")).code, 0);
  const { outcomes } = await connects(solo, await solo.frontend("web"));
  assert.deepEqual(outcomes, { open: 20 });
});

const at = (): PacketPods => {
  if (pods === undefined) throw new Error("Cannot test: the pods did not start");
  return pods;
};

packetSpoofingTests(at);
packetPathTests(at);
packetPolicyTests(at);
packetPolicyCaseTests(at);
packetRescueTests(at);
packetFaultTests(at);
