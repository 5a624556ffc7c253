/** What went wrong with policies elsewhere, as users reported it, and policies that cannot be accepted. */
import assert from "node:assert/strict";
import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CILIUM_NETWORK_POLICIES, type KubeObject, PODS, SERVICES } from "@isthmus/kube";
import { controlProcess, type LabHandle, type NodePlan } from "@isthmus/lab";
import { makeNextAddress, onNode, restartAgent } from "../agents.js";
import { type Cluster, PROBER } from "../cluster.js";
import { eventually } from "../eventually.js";
import { ECHO_PORT, HTTP_PORT, NAMESPACE, prober, service, withArgs } from "../objects.js";
import { type PacketPods, startServer } from "../packet-pods.js";
import {
  applyPolicy,
  connect,
  kubectl,
  label,
  onlyClients,
  outcome,
  removePolicy,
  running,
  SERVERS,
} from "../policies.js";
import { processOf } from "../processes.js";
import { run } from "../run.js";
import { MANAGER, meshOf } from "../world.js";

/** For how long pods are probed: `make kubelet-probes` does it for a minute. */
const PROBED_MS = Number(process.env["MESH_PROBED_SECONDS"] ?? 1) * 1000;
const CLUSTER_LABEL = "io.cilium.k8s.policy.cluster";
const ANY_CLUSTER = { matchExpressions: [{ key: CLUSTER_LABEL, operator: "Exists" }] };
const JOBS = { group: "batch", version: "v1", plural: "jobs", kind: "Job", namespaced: true };
/** More than a policy may have. */
const TOO_MANY_RULES = 10_000;

export function packetPolicyCaseTests(at: () => PacketPods): void {
  describe("Under an ingress policy without rules", () => {
    test("the kubelet's probes pass while the agent is killed, and other nodes do not reach the pod", async () => {
      const { lab, solo, near, far } = at();
      await applyPolicy(solo, "none", { podSelector: {}, policyTypes: ["Ingress"] });
      await outcome(solo, PROBER, near.echo, "unreachable");
      const name = "probed";
      const tcpSocket = { port: HTTP_PORT };
      const every = { periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 1 };
      const probes = {
        readinessProbe: { tcpSocket, ...every },
        livenessProbe: { tcpSocket, ...every, failureThreshold: 3 },
      };
      // The policy is there before the pod.
      const pod = withArgs(prober(name, near.node.name), ["echo", String(HTTP_PORT)], probes);
      await solo.client.create(PODS, pod);
      await running(solo, name);
      const address = await addressOf(solo, name);
      // Some may fail before the server listens.
      const before = await failedProbes(solo, name);
      const ends = performance.now() + PROBED_MS;
      do {
        await restartAgent(lab, near.node);
        assert.equal(await reachesFrom(lab, near.node, address, HTTP_PORT), true, "from its own node");
        assert.equal(await reachesFrom(lab, far.node, address, HTTP_PORT), false, "from another node");
        assert.deepEqual(await healthOf(solo, name), { ready: true, restartCount: 0 });
        await sleep(500);
      } while (performance.now() < ends);
      assert.equal(await failedProbes(solo, name), before);
      await removePolicy(solo, "none");
      await kubectl(solo, "delete", "pod", name, "--wait=false");
    });
  });

  describe("An egress policy", () => {
    test("that allows the labels of backends allows their Service by its ClusterIP, and no other Service", async () => {
      const { solo, near, far } = at();
      await label(solo, near.name, "app=chosen");
      await label(solo, PROBER, "role=caller");
      await solo.client.apply(SERVICES, service("chosen", { targetPort: ECHO_PORT }), MANAGER);
      await applyPolicy(solo, "callers", {
        podSelector: { matchLabels: { role: "caller" } },
        policyTypes: ["Egress"],
        egress: [{ to: [{ podSelector: { matchLabels: { app: "chosen" } } }] }],
      });
      await outcome(solo, PROBER, far.echo, "unreachable");
      await outcome(solo, PROBER, await solo.frontend("chosen"), "open");
      assert.equal(await connect(solo, PROBER, near.echo), "open");
      await outcome(solo, PROBER, await solo.frontend("web"), "unreachable");
      await removePolicy(solo, "callers");
      await label(solo, near.name, "app-");
      await kubectl(solo, "delete", "service", "chosen");
    });
  });

  describe("A policy by labels", () => {
    test("does not mean the pod that has the address of a completed Job", async () => {
      const { lab, solo, node, near } = at();
      await label(solo, near.name, "role=server");
      await applyPolicy(solo, "servers", onlyClients("role"));
      const command = { command: ["/paths"] };
      const done = withArgs(labelled(prober("done", node.name), { role: "client" }), ["connect", near.echo], command);
      const job = { metadata: { name: "done", namespace: NAMESPACE }, spec: { template: done } };
      await solo.client.create(JOBS, job as KubeObject);
      await kubectl(solo, "wait", "job/done", "--for=condition=Complete", "--timeout=60s");
      const { out } = await solo.kubectl("logs", "job/done");
      assert.equal(out.trim(), `open ${near.name}`, "it was allowed");
      const { out: name } = await solo.kubectl(
        "get",
        "pods",
        "-l",
        "job-name=done",
        "-o",
        "jsonpath={.items[*].metadata.name}",
      );
      const address = await addressOf(solo, name);
      await eventually(
        "the completed pod to lose its route",
        () => onNode(lab, node, "ip", "route", "show", "table", "all", address),
        (text) => text.trim() === "",
        30_000,
      );
      await makeNextAddress(lab, node, address);
      await solo.client.create(PODS, prober("heir", node.name));
      await running(solo, "heir");
      assert.equal(await addressOf(solo, "heir"), address);
      assert.equal(await connect(solo, "heir", near.echo), "unreachable");
      await label(solo, "heir", "role=client");
      await outcome(solo, "heir", near.echo, "open");
      const { out: phase } = await solo.kubectl("get", "pod", name, "-o", "jsonpath={.status.phase}");
      assert.equal(phase, "Succeeded", "its object is still there");
      await removePolicy(solo, "servers");
      await kubectl(solo, "delete", "job/done", "pod/heir", "--wait=false");
    });

    test("that both clusters have means the cluster that it names, and a cluster that is cut off is not the world", async () => {
      const { lab, solo, other, near, abroad, pathsIn } = at();
      await label(solo, near.name, "role=server");
      await label(solo, PROBER, "role=caller");
      await label(other, abroad.name, "role=caller");
      const fromAbroad = (wanted: string) =>
        eventually(
          `${abroad.name} to find ${near.echo} ${wanted}`,
          () => pathsIn(abroad, "connect", near.echo),
          ([line = ""]) => line.split(" ")[0] === wanted,
        );
      const from = (selector: object) => ({ fromEndpoints: [selector] });
      const callers = { matchLabels: { role: "caller" } };
      await applyCilium(solo, from(callers));
      await fromAbroad("unreachable");
      await outcome(solo, PROBER, near.echo, "open");
      await applyCilium(solo, from({ ...callers, ...ANY_CLUSTER }));
      await fromAbroad("open");
      assert.equal(await connect(solo, PROBER, near.echo), "open");
      await applyCilium(solo, from({ matchLabels: { role: "caller", [CLUSTER_LABEL]: other.plan.name } }));
      await outcome(solo, PROBER, near.echo, "unreachable");
      await fromAbroad("open");

      const store = { role: "mesh-etcd" } as const;
      await controlProcess(lab.plan.name, "stop", store);
      try {
        await applyCilium(solo, { fromEntities: ["world"] });
        await fromAbroad("unreachable");
        // Of a pod that starts now this cluster learns nothing: its address is one of the other cluster, and no more.
        const late = await startServer("another cluster", "late-abroad", other, abroad.node);
        await label(other, late.name, "role=caller");
        const lateFinds = async () => (await pathsIn(late, "connect", near.echo))[0];
        assert.equal(await lateFinds(), "timeout");
        await restartAgent(lab, near.node);
        assert.equal(await lateFinds(), "timeout");
        assert.deepEqual(await pathsIn(abroad, "connect", near.echo), ["unreachable"]);
        await applyCilium(solo, from({ ...callers, ...ANY_CLUSTER }));
        await fromAbroad("open");
        assert.equal(await lateFinds(), "timeout");
        await controlProcess(lab.plan.name, "start", store);
        await eventually(
          "the late pod to be known by its labels",
          lateFinds,
          (line) => line === `open ${near.name}`,
          30_000,
        );
        await kubectl(other, "delete", "pod", late.name, "--wait=false");
      } finally {
        await controlProcess(lab.plan.name, "start", store);
        await removeCilium(solo);
      }
    });

    test("and a port's name means each pod's own port of that name", async () => {
      const { solo, near, far } = at();
      const ports = [8080, 9090] as const;
      const nodes = { "named-8080": near.node.name, "named-9090": far.node.name };
      const names = Object.keys(nodes) as (keyof typeof nodes)[];
      for (const [i, name] of names.entries()) {
        const named = { command: ["/flows"], ports: [{ name: "front", containerPort: ports[i] }] };
        const pod = withArgs(
          labelled(prober(name, nodes[name]), { app: "named" }),
          ["serve", ...ports.map(String)],
          named,
        );
        await solo.client.create(PODS, pod);
      }
      for (const name of names) await running(solo, name);
      await applyPolicy(solo, "named", {
        podSelector: { matchLabels: { app: "named" } },
        policyTypes: ["Ingress"],
        ingress: [{ ports: [{ port: "front" }] }],
      });
      for (const [i, name] of names.entries()) {
        const address = await addressOf(solo, name);
        await outcome(solo, PROBER, `${address}:${ports[1 - i]}`, "unreachable");
        await outcome(solo, PROBER, `${address}:${ports[i]}`, "open");
      }
      await removePolicy(solo, "named");
      await kubectl(solo, "delete", "pod", ...names, "--wait=false");
    });
  });

  describe("A policy that cannot be accepted", () => {
    test("because it has 10,000 rules, or a selector that selects nobody: an Event says so, and what it replaces stays", async () => {
      const { lab, solo, near } = at();
      await label(solo, near.name, "role=server");
      await label(solo, PROBER, "role=client");
      const stays = async () => {
        assert.equal(await connect(solo, PROBER, near.echo), "open");
        assert.equal(await connect(solo, PROBER, near.http), "unreachable");
      };
      await applyPolicy(solo, "servers", onlyClients("role"));
      await outcome(solo, PROBER, near.http, "unreachable");
      await stays();
      const rules = Array.from({ length: TOO_MANY_RULES }, (_, i) => ({
        from: [{ podSelector: { matchLabels: { number: String(i) } } }],
      }));
      await applyPolicy(solo, "servers", { ...SERVERS, ingress: rules });
      await notAccepted(solo, "NetworkPolicy", "servers", /has 10000 rules, more than 1000/);
      assert.deepEqual(await inForce(lab, solo, "servers"), { generation: 2, inForce: 1 });
      await stays();
      await removePolicy(solo, "servers");
      await outcome(solo, PROBER, near.http, "timeout"); // it is reached, and does not begin to speak

      await applyCilium(solo, { fromEndpoints: [{ matchLabels: { role: "client" } }], ...ECHO_ONLY });
      await outcome(solo, PROBER, near.http, "unreachable");
      await stays();
      const nobody = { matchExpressions: [{ key: "role", operator: "In", values: [] }] };
      await applyCilium(solo, { fromEndpoints: [nobody] });
      await notAccepted(solo, "CiliumNetworkPolicy", CILIUM_NAME, /values/);
      assert.deepEqual(await inForce(lab, solo, CILIUM_NAME), { generation: 2, inForce: 1 });
      await stays();
      await removeCilium(solo);
    });
  });

  describe("A static pod", () => {
    test("has the identity of its labels, and its policy is enforced", async () => {
      const { lab, solo, node, near } = at();
      const name = `static-${node.name}`; // of its object in the API
      const { staticPods } = lab.paths.node(node.name);
      await label(solo, near.name, "role=server");
      await applyPolicy(solo, "servers", onlyClients("role"));
      const { metadata, ...rest } = labelled(prober("static", node.name), { role: "client" });
      const manifest = JSON.stringify({ apiVersion: "v1", kind: "Pod", metadata, ...rest });
      const file = join(staticPods, "static.json");
      // The kubelet ignores files that begin with a dot, and must not read a half of one.
      await writeFile(join(staticPods, ".static.json"), manifest);
      await rename(join(staticPods, ".static.json"), file);
      try {
        await eventually(
          "the static pod",
          () => healthOf(solo, name),
          ({ ready }) => ready,
          60_000,
        );
        await outcome(solo, name, near.echo, "open");
        assert.equal(await connect(solo, name, near.http), "unreachable", "by the policy of the server");
        await applyPolicy(solo, "callers", {
          podSelector: { matchLabels: { role: "client" } },
          policyTypes: ["Egress"],
        });
        await outcome(solo, name, near.echo, "unreachable");
      } finally {
        await rm(file);
        await removePolicy(solo, "servers");
        await removePolicy(solo, "callers");
      }
    });
  });
}

const CILIUM_NAME = "servers-cilium";
const ECHO_ONLY = { toPorts: [{ ports: [{ port: String(ECHO_PORT), protocol: "TCP" }] }] };

/** A CiliumNetworkPolicy of the servers with one rule. */
async function applyCilium({ client }: Cluster, rule: object): Promise<void> {
  const spec = { endpointSelector: SERVERS.podSelector, ingress: [rule] };
  const policy: KubeObject = { metadata: { name: CILIUM_NAME, namespace: NAMESPACE }, spec } as KubeObject;
  await client.apply(CILIUM_NETWORK_POLICIES, policy, MANAGER);
}

const removeCilium = (cluster: Cluster) =>
  kubectl(cluster, "delete", "ciliumnetworkpolicies.cilium.io", CILIUM_NAME, "--ignore-not-found");

function labelled(pod: KubeObject, labels: Readonly<Record<string, string>>): KubeObject {
  return { ...pod, metadata: { ...pod.metadata, labels } };
}

async function addressOf(cluster: Cluster, pod: string): Promise<string> {
  return (await cluster.kubectl("get", "pod", pod, "-o", "jsonpath={.status.podIP}")).out;
}

interface ContainerStatus {
  readonly ready: boolean;
  readonly restartCount: number;
}

/** Of its only container. */
async function healthOf({ client }: Cluster, name: string): Promise<ContainerStatus> {
  const pod = await client.get(PODS, name, { namespace: NAMESPACE });
  const { status } = (pod ?? {}) as { readonly status?: { readonly containerStatuses?: readonly ContainerStatus[] } };
  const { ready = false, restartCount = 0 } = status?.containerStatuses?.[0] ?? {};
  return { ready, restartCount };
}

/** How often the kubelet reported a failed probe, as Events count it. */
async function failedProbes(cluster: Cluster, pod: string): Promise<string> {
  const selector = `involvedObject.name=${pod},reason=Unhealthy`;
  return (await cluster.kubectl("get", "events", "--field-selector", selector, "-o", "jsonpath={.items[*].count}")).out;
}

/** True when a connect from the node's own network namespace is established within two seconds. */
async function reachesFrom(
  lab: LabHandle,
  { cluster, name }: NodePlan,
  address: string,
  port: number,
): Promise<boolean> {
  const { pid } = await processOf(lab.plan.name, { role: "node", cluster, node: name });
  const argv = ["-t", String(pid), "-n", "timeout", "2", "bash", "-c", `exec 3<>/dev/tcp/${address}/${port}`];
  return (await run("nsenter", argv)).code === 0;
}

/** Waits for the Event on the policy that names why. */
async function notAccepted(cluster: Cluster, kind: string, name: string, why: RegExp): Promise<void> {
  const selector = `involvedObject.kind=${kind},involvedObject.name=${name},reason=PolicyNotAccepted`;
  await eventually(
    `an Event of ${kind} ${name}`,
    async () => (await cluster.kubectl("get", "events", "--field-selector", selector)).out,
    (text) => why.test(text),
  );
}

/** As `mesh policy list` shows it. */
async function inForce(lab: LabHandle, { plan }: Cluster, name: string) {
  const { out } = await meshOf(lab)("policy", "list", "--context", plan.name, "-n", NAMESPACE, "-o", "json");
  const { policies } = JSON.parse(out) as {
    readonly policies: readonly { readonly name: string; readonly generation: number; readonly inForce: number }[];
  };
  const found = policies.find((policy) => policy.name === name);
  return { generation: found?.generation, inForce: found?.inForce };
}
