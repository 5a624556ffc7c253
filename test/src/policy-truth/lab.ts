/** The pods of the truth tables in a lab: changes as a user makes them, and what becomes of real connections. */
import assert from "node:assert/strict";
import {
  CILIUM_CIDR_GROUPS,
  CILIUM_CLUSTERWIDE_NETWORK_POLICIES,
  CILIUM_NETWORK_POLICIES,
  type KubeObject,
  NAMESPACES,
  NETWORK_POLICIES,
  PODS as POD_RESOURCE,
  SERVICES,
} from "@isthmus/kube";
import type { LabHandle } from "@isthmus/lab";
import { type Cluster, openCluster } from "../e2e/cluster.js";
import { eventually } from "../e2e/eventually.js";
import { networkOf } from "../e2e/pod-process.js";
import { PROBE_TAG } from "../e2e/probe-image.js";
import { processOf } from "../e2e/processes.js";
import { run } from "../e2e/run.js";
import { MANAGER, meshOf } from "../e2e/world.js";
import { isReferredTo, objectOf } from "./evaluate.js";
import { makeGrid } from "./grid.js";
import { CLUSTERS, type ClusterName, NAMESPACE_LABELS, PODS, PORTS, SQL, type Trial, type TruthPod } from "./pods.js";
import type { Change, PolicyObject } from "./table.js";

const RESOURCES = {
  NetworkPolicy: NETWORK_POLICIES,
  CiliumNetworkPolicy: CILIUM_NETWORK_POLICIES,
  CiliumClusterwideNetworkPolicy: CILIUM_CLUSTERWIDE_NETWORK_POLICIES,
  CiliumCIDRGroup: CILIUM_CIDR_GROUPS,
  Service: SERVICES,
} as const;

/** Outcomes of the probe that are a denial: an ICMP error, or silence. */
const DENIED: ReadonlySet<string> = new Set(["unreachable", "timeout"]);

export interface TruthLab {
  /** What it changes of policies is in force, or refused, when it resolves. */
  change(change: Change): Promise<void>;
  /** Waits for an Event of the object that names this field. */
  refused(object: PolicyObject, cluster: ClusterName, field: string): Promise<void>;
  /** Tries everything once; as grid.ts has it. */
  grid(): Promise<string>;
  /** Removes the policies of all tables, and gives pods and namespaces their labels again. */
  reset(): Promise<void>;
  close(): void;
}

/** Of `mesh policy list -o json`. */
interface ListedPolicy {
  readonly kind: string;
  readonly name: string;
  readonly generation: number;
  readonly accepted: boolean;
  readonly inForce: number | null;
  readonly enforced: { readonly nodes: number; readonly of: number } | null;
}

/** Starts the pods. `probe`: the program probe.c on this machine. */
export async function openTruthLab(lab: LabHandle, probe: string): Promise<TruthLab> {
  const plans = new Map(lab.plan.clusters.map((plan) => [plan.name, plan]));
  const clusters = new Map<ClusterName, Cluster>();
  for (const name of CLUSTERS) {
    const plan = plans.get(name);
    if (plan === undefined) throw new Error(`Cannot test without cluster "${name}"`);
    clusters.set(name, openCluster(lab, plan));
  }
  const mesh = meshOf(lab);
  const of = (name: ClusterName): Cluster => clusters.get(name) as Cluster;
  for (const cluster of CLUSTERS)
    for (const name of Object.keys(NAMESPACE_LABELS))
      await of(cluster).client.apply(NAMESPACES, { metadata: { name } }, MANAGER);
  await Promise.all(PODS.map((pod) => of(pod.cluster).client.create(POD_RESOURCE, podObject(pod, of(pod.cluster)))));
  const addresses = new Map<string, string>();
  const networks = new Map<string, string>();
  for (const pod of PODS) {
    const { kubectl } = of(pod.cluster);
    const inNamespace = ["-n", pod.namespace];
    const waited = await kubectl("wait", `pod/${pod.name}`, ...inNamespace, "--for=condition=Ready", "--timeout=60s");
    assert.equal(waited.code, 0, waited.err);
    const address = (await kubectl("get", "pod", pod.name, ...inNamespace, "-o", "jsonpath={.status.podIP}")).out;
    addresses.set(pod.name, address);
    const kubelet = await processOf(lab.plan.name, { role: "kubelet", node: nodeOf(pod, of(pod.cluster)) });
    networks.set(pod.name, await networkOf(kubelet.pid, address));
  }
  const addressOf = (pod: string): string => addresses.get(pod) ?? "";

  async function succeeds(client: TruthPod, server: TruthPod, { text, port }: Trial): Promise<boolean> {
    const target = addressOf(server.name);
    const protocol = text.split("/")[1];
    const command = protocol === undefined ? ["ping", target] : [protocol, `${target}:${port}`];
    const ran = await run("nsenter", [`--net=${networks.get(client.name)}`, probe, ...command]);
    const outcomes = ran.out
      .trim()
      .split("\n")
      .map((line) => line.split(" ")[protocol === "udp" ? 1 : 0] ?? "");
    const wrong = outcomes.find((each) => each !== "open" && !DENIED.has(each));
    const isOpen = outcomes.every((each) => each === "open");
    if (ran.code !== 0 || wrong !== undefined || (!isOpen && outcomes.includes("open")))
      throw new Error(`${client.name} to ${server.name} ${text}: ${ran.out}${ran.err}`);
    return isOpen;
  }

  /** Waits until this generation is enforced on all nodes, or what it replaces is because it has findings. */
  async function settled(cluster: ClusterName, { kind, name }: PolicyObject, generation: number): Promise<void> {
    const look = async () => {
      const ran = await mesh("policy", "list", "--context", cluster, "-o", "json");
      const { policies } = JSON.parse(ran.out) as { readonly policies: readonly ListedPolicy[] };
      return policies.find((each) => each.kind === kind && each.name === name);
    };
    await eventually(`${kind} "${name}" of ${cluster} to be enforced`, look, (found) => {
      if (found === undefined || found.generation !== generation || found.enforced === null) return false;
      return found.enforced.nodes === found.enforced.of && found.accepted === (found.inForce === generation);
    });
  }

  async function change(one: Change): Promise<void> {
    if ("apply" in one) {
      const cluster = one.in ?? "solo";
      const object = objectOf(one.apply, addressOf) as KubeObject;
      const { metadata } = await of(cluster).client.apply(RESOURCES[one.apply.kind], object, MANAGER);
      if (!isReferredTo(one.apply)) await settled(cluster, one.apply, metadata.generation ?? 0);
    } else if ("remove" in one) {
      const { kubectl } = of(one.in ?? "solo");
      const ran = await kubectl("delete", RESOURCES[one.remove].plural, one.name, "-n", "shop");
      assert.equal(ran.code, 0, ran.err);
    } else if ("pod" in one) {
      const pod = PODS.find(({ name }) => name === one.pod);
      if (pod === undefined) throw new Error(`Cannot label "${one.pod}": there is no such pod`);
      const { cluster, namespace, name } = pod;
      await of(cluster).client.mergePatch(POD_RESOURCE, name, { metadata: { labels: one.labels } }, { namespace });
    } else await of("solo").client.mergePatch(NAMESPACES, one.namespace, { metadata: { labels: one.labels } });
  }

  return {
    change,
    async refused({ kind, name }, cluster, field) {
      const { kubectl } = of(cluster);
      const selector = `involvedObject.kind=${kind},involvedObject.name=${name},reason=PolicyNotAccepted`;
      await eventually(
        `an Event of ${kind} "${name}" that names ${field}`,
        async () => (await kubectl("get", "events", "-A", "--field-selector", selector)).out,
        (text) => text.includes(field),
      );
    },
    grid: () => makeGrid(succeeds),
    async reset() {
      for (const cluster of CLUSTERS)
        for (const { plural, namespaced } of Object.values(RESOURCES)) {
          const where = namespaced ? ["-n", "shop"] : [];
          const ran = await of(cluster).kubectl("delete", plural, "--all", ...where);
          assert.equal(ran.code, 0, ran.err);
        }
      for (const { name, labels } of PODS) await change({ pod: name, labels: { tier: null, ...labels } });
      for (const [namespace, labels] of Object.entries(NAMESPACE_LABELS))
        await change({ namespace, labels: { team: null, ...labels } });
    },
    close() {
      for (const cluster of clusters.values()) cluster.close();
    },
  };
}

function nodeOf({ node }: TruthPod, { plan }: Cluster): string {
  const found = plan.nodes[node];
  if (found === undefined) throw new Error(`Cannot test: cluster "${plan.name}" has no node ${node}`);
  return found.name;
}

function podObject(pod: TruthPod, cluster: Cluster): KubeObject {
  const { name, namespace, labels, sql } = pod;
  const image = { image: PROBE_TAG, imagePullPolicy: "Never" };
  const containers =
    sql === undefined
      ? [{ name: "client", ...image, args: ["idle"] }]
      : PORTS.map((port) => ({
          ...{ name: `echo-${port}`, ...image, args: ["echo", String(port)] },
          ports: [{ containerPort: port, ...(port === sql ? { name: SQL } : {}) }],
        }));
  const spec = {
    nodeName: nodeOf(pod, cluster),
    automountServiceAccountToken: false,
    terminationGracePeriodSeconds: 2,
    containers,
  };
  return { metadata: { name, namespace, labels }, spec } as KubeObject;
}
