/**
 * The real kube-proxy beside agents in mode `packets`, in each of its modes, on both nodes of a lab of its own. `make kube-proxy` runs
 * it.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type KubeObject, type KubeService, NAMESPACES, PODS, SERVICES } from "@isthmus/kube";
import { controlProcess, type KeptLab, keepLab, type LabHandle, loadImage, type NodePlan, openLab } from "@isthmus/lab";
import type { ProxyMode } from "@isthmus/lab/testing";
import { type Cluster, openCluster, PROBER } from "./e2e/cluster.js";
import { eventually } from "./e2e/eventually.js";
import { type NodeProxy, startNodeProxy } from "./e2e/kube-proxy.js";
import { answerer, NAMESPACE, namespace, prober } from "./e2e/objects.js";
import { networkOf } from "./e2e/pod-process.js";
import { compileProbe, probeImage } from "./e2e/probe-image.js";
import { killAndWait, processOf } from "./e2e/processes.js";
import { run } from "./e2e/run.js";
import { startTalk, type Talk } from "./e2e/talk.js";
import { MANAGER } from "./e2e/world.js";

const SHARED = process.env["MESH_TEST_LAB"];
const NAME = SHARED ?? `kube-proxy-${process.pid}`;
const PORT = 7000;
const CONNECTIONS = 50;
/** How long a connection is silent before it goes on. */
const SILENT_MS = 4_000;

/** A way to a Service that kube-proxy translates. */
interface Way {
  readonly name: string;
  /** Path of the network namespace that dials. */
  readonly from: string;
  readonly tcp: string;
  readonly udp: string;
  /** Pod that answers. */
  readonly pod: string;
}

let kept: KeptLab | undefined;
let lab: LabHandle;
let solo: Cluster;
let folder: string;
let probe: string;
let nodes: readonly [NodePlan, NodePlan];

before(async () => {
  if (SHARED === undefined)
    kept = await keepLab({ name: NAME, clusters: ["solo"], nodes: 2, bare: false, datapathMode: "packets" });
  lab = await openLab(NAME);
  const [plan] = lab.plan.clusters;
  const [first, second] = plan?.nodes ?? [];
  if (plan === undefined || first === undefined || second === undefined)
    throw new Error("Cannot test without two nodes");
  nodes = [first, second];
  solo = openCluster(lab, plan);
  folder = await mkdtemp(join(tmpdir(), "isthmus-kube-proxy-test-"));
  probe = await compileProbe(folder);
  await loadImage(NAME, await probeImage());
  await solo.client.apply(NAMESPACES, namespace, MANAGER);
  await solo.client.apply(PODS, prober(PROBER, first.name), MANAGER);
  await solo.client.apply(PODS, answerer("near", first.name, PORT), MANAGER);
  await solo.client.apply(PODS, answerer("far", second.name, PORT), MANAGER);
  for (const pod of ["near", "far"])
    for (const policy of ["Cluster", "Local"]) await solo.client.apply(SERVICES, nodePort(pod, policy), MANAGER);
  const waited = await solo.kubectl("wait", "pod", "--all", "--for=condition=Ready", "--timeout=60s");
  assert.equal(waited.code, 0, waited.err);
});
after(async () => {
  solo.close();
  await rm(folder, { recursive: true });
  await kept?.release();
});

function nodePort(pod: string, externalTrafficPolicy: string): KubeObject & { readonly spec: object } {
  return {
    metadata: { name: `${pod}-${externalTrafficPolicy.toLowerCase()}`, namespace: NAMESPACE },
    spec: {
      ...{ type: "NodePort", externalTrafficPolicy, selector: { app: pod } },
      ports: ["TCP", "UDP"].map((protocol) => ({ name: protocol.toLowerCase(), protocol, port: 80, targetPort: PORT })),
    },
  };
}

const podAddress = async (name: string): Promise<string> =>
  (await solo.kubectl("get", "pod", name, "-o", "jsonpath={.status.podIP}")).out;

async function networkOfNode({ name }: NodePlan): Promise<string> {
  return `/proc/${(await processOf(NAME, { role: "node", node: name })).pid}/ns/net`;
}

/** Counters of the programs of a node, by event. */
async function countsOn(node: NodePlan): Promise<Readonly<Record<string, number>>> {
  const network = await networkOfNode(node);
  const { out } = await run("nsenter", [`--net=${network}`, "curl", "-s", "http://127.0.0.1:7500/metrics"]);
  const lines = [...out.matchAll(/^mesh_datapath_events\{event="(\w+)"\} (\d+)$/gm)];
  return Object.fromEntries(lines.map(([, event, count]) => [event, Number(count)]));
}

async function places(): Promise<Readonly<Record<"node1" | "node2" | "outside" | "pod", string>>> {
  const kubelet = await processOf(NAME, { role: "kubelet", node: nodes[0].name });
  return {
    node1: await networkOfNode(nodes[0]),
    node2: await networkOfNode(nodes[1]),
    outside: `/proc/${(await processOf(NAME, { role: "underlay" })).pid}/ns/net`,
    // In the pod's network and outside of its control group: no hook translates, as for a Service that is not ours.
    pod: await networkOf(kubelet.pid, await podAddress(PROBER)),
  };
}

/** Every way to a Service by kube-proxy: from whom, by which address, to a pod of which node. */
async function allWays(): Promise<Way[]> {
  const at = await places();
  const ways: Way[] = [];
  for (const pod of ["near", "far"]) {
    for (const policy of ["cluster", "local"]) {
      const service = await solo.client.get<KubeService>(SERVICES, `${pod}-${policy}`, { namespace: NAMESPACE });
      const ports = (service?.spec?.ports ?? []) as readonly { protocol?: string; nodePort?: number }[];
      const [tcp, udp] = ["TCP", "UDP"].map((protocol) => ports.find((port) => port.protocol === protocol)?.nodePort);
      const clusterIp = service?.spec?.clusterIP;
      const add = (name: string, from: string, address: string, [t, u] = [tcp, udp]) =>
        ways.push({ name: `${name}, ${pod}-${policy}`, from, tcp: `${address}:${t}`, udp: `${address}:${u}`, pod });
      if (policy === "cluster") {
        add("node to ClusterIP", at.node1, `${clusterIp}`, [80, 80]);
        add("pod without hooks to ClusterIP", at.pod, `${clusterIp}`, [80, 80]);
      }
      const [one, two] = nodes;
      const here = pod === "near" ? one : two;
      add("other node to NodePort", pod === "near" ? at.node2 : at.node1, here.address);
      add("outside to NodePort", at.outside, here.address);
      add("pod to NodePort", at.pod, here.address);
      if (policy === "local") continue;
      const there = pod === "near" ? two : one;
      add("outside to NodePort of the node without the pod", at.outside, there.address);
      add("pod to NodePort of the node without the pod", at.pod, there.address);
      add("other node to NodePort of the node without the pod", pod === "near" ? at.node1 : at.node2, there.address);
    }
  }
  return ways;
}

type Talks = readonly { readonly way: string; readonly pod: string; readonly talk: Talk }[];

/** Opens a conversation of each protocol over each way, for the time of the test. */
function talksOver(t: TestContext, ways: readonly Way[]): Talks {
  const talks = ways.flatMap(({ name, from, tcp, udp, pod }) => [
    { way: `tcp ${name}`, pod, talk: startTalk(from, probe, "tcp", tcp) },
    { way: `udp ${name}`, pod, talk: startTalk(from, probe, "udp", udp) },
  ]);
  t.after(() => Promise.all(talks.map(({ talk }) => talk.close())));
  return talks;
}

/** Every conversation is answered by its pod. */
async function allAnswer(talks: Talks, text: string): Promise<void> {
  const wrong = talks.map(async ({ way, pod, talk }) => {
    const heard = await talk.say(text);
    return heard === `open ${pod} ${text}` ? [] : [`${way}: ${heard}`];
  });
  assert.deepEqual((await Promise.all(wrong)).flat(), []);
}

/** Runs the agents of both nodes in another mode than the lab gives them; the function that it returns goes back. */
async function agentsIn(t: TestContext, mode: string): Promise<() => Promise<void>> {
  const stops = await Promise.all(
    nodes.map(async (node) => {
      const selector = { role: "node-agent" as const, node: node.name };
      const { pid } = await processOf(NAME, selector);
      const argv = (await readFile(`/proc/${pid}/cmdline`, "utf8")).split("\0").slice(0, -1);
      const network = await networkOfNode(node);
      await controlProcess(NAME, "stop", selector);
      const command = ["nsenter", `--net=${network}`, "--", ...argv, "--datapath-mode", mode];
      const agent = spawn("setpriv", ["--pdeathsig", "KILL", ...command], { stdio: ["ignore", "ignore", "inherit"] });
      const ended = once(agent, "exit");
      t.after(() => agent.kill("SIGKILL"));
      await ready(network, node);
      return async () => {
        agent.kill("SIGTERM");
        await ended;
        await controlProcess(NAME, "start", selector);
        await ready(network, node);
      };
    }),
  );
  return async () => void (await Promise.all(stops.map((stop) => stop())));
}

const ready = (network: string, node: NodePlan) =>
  eventually(
    `the agent of ${node.name} to be ready`,
    async () =>
      (await run("nsenter", [`--net=${network}`, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", READY])).out,
    (answer) => answer === "200",
    30_000,
  );
const READY = "http://127.0.0.1:7500/readyz";

for (const mode of ["iptables", "nftables"] satisfies ProxyMode[]) {
  describe(`kube-proxy in mode ${mode}`, () => {
    let proxies: readonly NodeProxy[];
    before(async () => {
      proxies = await Promise.all(nodes.map((node) => startNodeProxy(lab, solo.plan, node, mode)));
    });
    after(async () => {
      await Promise.all(proxies.map((proxy) => proxy.stop()));
    });

    test("pods reach ClusterIPs by their sockets, past the stack of both nodes", async () => {
      const before = await Promise.all(nodes.map(countsOn));
      for (const pod of ["near", "far"]) {
        const lines = await solo.probe("tcp", await solo.frontend(`${pod}-cluster`), String(CONNECTIONS));
        assert.deepEqual(
          lines.filter((line) => !new RegExp(`^open \\d+ ${pod} GET`).test(line) && !line.startsWith("\r")),
          [],
        );
        const datagrams = await solo.probe("udp", await solo.frontend(`${pod}-cluster`));
        assert.ok(
          datagrams.every((line) => line.endsWith(`${pod} hello`)),
          datagrams.join("\n"),
        );
      }
      const [one, two] = await Promise.all(nodes.map(countsOn));
      assert.ok((one?.["deliver"] ?? 0) >= (before[0]?.["deliver"] ?? 0) + 4 * CONNECTIONS, JSON.stringify(one));
      assert.ok((one?.["forward"] ?? 0) >= (before[0]?.["forward"] ?? 0) + 2 * CONNECTIONS, JSON.stringify(one));
      assert.ok((two?.["forward"] ?? 0) >= (before[1]?.["forward"] ?? 0) + 2 * CONNECTIONS, JSON.stringify(two));
    });

    test("what kube-proxy translates is answered, by every way, and goes on after silence", async (t) => {
      const ways = await allWays();
      const talks = talksOver(t, ways);
      await allAnswer(talks, "one");
      const silent = sleep(SILENT_MS);
      for (const { name, from, tcp, pod } of ways) {
        const { out } = await run("nsenter", [`--net=${from}`, probe, "tcp", tcp, String(CONNECTIONS)]);
        const answers = out.match(new RegExp(`^open \\d+ ${pod} `, "gm")) ?? [];
        assert.equal(answers.length, CONNECTIONS, `${name}: ${out.slice(0, 500)}`);
      }
      await silent;
      await allAnswer(talks, "two");
    });

    test("a pod learns of a closed port of another pod, and of a packet that is too big for the way", async () => {
      for (const pod of ["near", "far"]) {
        const lines = await solo.probe("udp", `${await podAddress(pod)}:9`);
        assert.match(lines[0] ?? "", /^connected refused/, pod);
      }
      const { node1, pod } = await places();
      const far = await podAddress("far");
      const route = [far, "via", nodes[1].address, "dev", "eth0", "mtu", "lock", "1200"];
      const inNode = (...argv: readonly string[]) => run("nsenter", [`--net=${node1}`, ...argv]);
      assert.equal((await inNode("ip", "route", "add", ...route)).code, 0);
      try {
        const { out } = await run("nsenter", [`--net=${pod}`, probe, "mtu", `${far}:${PORT}`, "1300"]);
        assert.equal(out, "1200\n");
      } finally {
        await inNode("ip", "route", "del", ...route);
        await run("nsenter", [`--net=${pod}`, "ip", "route", "flush", "cache"]);
      }
    });

    test("connections that kube-proxy translated live through a restart of the agents and both changes of the mode", async (t) => {
      const talks = talksOver(t, await allWays());
      await allAnswer(talks, "packets");
      for (const { name } of nodes) await killAndWait(NAME, { role: "node-agent", node: name });
      for (const node of nodes) await ready(await networkOfNode(node), node);
      await allAnswer(talks, "restarted");
      const back = await agentsIn(t, "sockets");
      await allAnswer(talks, "sockets");
      const more = talksOver(t, await allWays());
      await allAnswer(more, "sockets");
      await back();
      await allAnswer([...talks, ...more], "packets again");
    });
  });
}
