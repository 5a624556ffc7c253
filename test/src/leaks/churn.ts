/** What happens to the clusters while the probers try: random changes and faults, each with its time. */
import { setTimeout as sleep } from "node:timers/promises";
import {
  clearFaults,
  controlProcess,
  type LabHandle,
  listFaults,
  type NodePlan,
  type Selector,
  startFault,
} from "@isthmus/lab";
import { MeshError } from "@isthmus/model";
import { makeNextAddress } from "../e2e/agents.js";
import type { Clusters, LeakCluster } from "./clusters.js";
import { nowMicros } from "./history.js";
import { type Model, type ModelPod, policyName } from "./model.js";
import { type FaultOfNetwork, type NetworkFault, randomFault } from "./network-faults.js";
import { NAMESPACES_USED, type PodPlan, ROLE_OF_BACKENDS } from "./objects.js";
import type { PolicyKind, PolicyObject } from "./oracle.js";
import type { Random } from "./random.js";
import { COLORS, randomSpec, TEAMS } from "./random-policy.js";

export interface Step {
  readonly at: number;
  readonly kind: StepKind;
  /** For the report. */
  readonly what: string;
}

export type StepKind = keyof typeof WEIGHTS;

export interface Churn {
  readonly steps: readonly Step[];
  /** Waits for a violation's evidence, if some is being collected. */
  hold(work: Promise<unknown>): void;
  /** Changes until aborted, then resolves when what was begun is over. */
  run(signal: AbortSignal): Promise<void>;
}

export interface ChurnModules {
  readonly lab: LabHandle;
  readonly clusters: Clusters;
  readonly model: Model;
  readonly random: Random;
  /** Called with each step. */
  readonly onStep: (step: Step) => void;
  /** What a pod dials from its first moment on. */
  readonly firstTargets: (pod: PodPlan) => readonly string[];
  /** Judges what it found; called before it ends. */
  readonly judgeFirst: (pod: ModelPod) => Promise<void>;
  /** Pods came or went. */
  readonly podsChanged: () => void;
  /** A change that runs beside others failed. */
  readonly failed: (error: Error) => void;
}

const WEIGHTS = {
  "write a policy": 36,
  "delete a policy": 14,
  "relabel a pod": 22,
  "relabel a namespace": 6,
  "replace a pod": 5,
  "give an address to another pod": 3,
  "kill an agent": 7,
  "kill an apiserver": 2,
  "suspend an apiserver": 2,
  "darken a cluster": 4,
  "darken a node": 8,
  "cut a path": 6,
  "lose packets": 4,
  "wait until all is in force": 14,
} as const;

const KINDS = { NetworkPolicy: 2, CiliumNetworkPolicy: 2, CiliumClusterwideNetworkPolicy: 1 } as const;
const MOST_POLICIES = 8;
/** Changes under way; with more, nearly any verdict would be legal. */
const MOST_PENDING = 3;
const SUSPENDED_MS = 3000;
const LEAST_FAULT_MS = 2000;
const MOST_FAULT_MS = 5000;
/** Between two faults of the network, so that what passes then is judged, too. */
const QUIET_MS = 6000;
const PENDING_MS = 60_000;
/** Is busy while a fault of the network lasts. */
const NETWORK = "network";

export function createChurn(modules: ChurnModules): Churn {
  const { lab, clusters, model, random, onStep, firstTargets, judgeFirst, podsChanged, failed } = modules;
  const steps: Step[] = [];
  const policies: PolicyObject[] = [];
  const beside = new Set<Promise<void>>();
  /** Nodes of which a pod or the agent is being replaced, and clusters whose apiserver is. */
  const busy = new Set<string>();
  /** Nodes whose kubelets, and clusters whose APIs, do not answer as long as a fault of the network lasts. */
  const unreachable = new Set<string>();
  let names = 0;
  let held: Promise<unknown> = Promise.resolve();
  let networkSince = 0;

  function note(kind: StepKind, what: string): void {
    const step = { at: nowMicros(), kind, what };
    steps.push(step);
    onStep(step);
  }

  /** Goes on beside other changes; `what` is busy meanwhile. */
  function startBeside(what: string, work: () => Promise<void>): void {
    busy.add(what);
    const done: Promise<void> = work()
      .catch(failed)
      .finally(() => {
        busy.delete(what);
        beside.delete(done);
      });
    beside.add(done);
  }

  const pods = () =>
    [...model.pods.values()].filter(({ deletedAt, runsSince }) => deletedAt === undefined && runsSince !== undefined);
  const servers = () =>
    pods().filter(
      ({ node, labels }) => labels.latest?.["role"] === ROLE_OF_BACKENDS && !busy.has(node) && !unreachable.has(node),
    );
  const reachable = () => clusters.all.filter(({ plan }) => !unreachable.has(plan.name));
  const idle = <T>(all: readonly T[], name: (one: T) => string): readonly T[] =>
    all.filter((one) => !clusters.isPending(name(one)));
  const written = () => idle(policies, policyName).filter(({ cluster }) => !unreachable.has(cluster));
  const place = (cluster: LeakCluster) => ({
    clusters: clusters.all.map(({ plan }) => plan.name),
    namespaces: NAMESPACES_USED,
    ranges: random.chance(0.5) ? cluster.podRanges : clusters.all.flatMap(({ podRanges }) => podRanges),
  });
  const nodeOf = (name: string): NodePlan => {
    const found = clusters.all.flatMap(({ plan }) => plan.nodes).find((node) => node.name === name);
    if (found === undefined) throw new Error(`Unknown node "${name}"`);
    return found;
  };

  async function writePolicy(): Promise<void> {
    const known = written();
    const isNew = policies.length < MOST_POLICIES && (known.length === 0 || random.chance(0.7));
    if (!isNew && known.length === 0) return;
    const of = isNew ? newPolicy() : random.pick(known);
    const spec = randomSpec(of.kind, random, place(clusters.named(of.cluster)));
    if (isNew) policies.push(of);
    note("write a policy", `${policyName(of)} ${JSON.stringify(spec)}`);
    await clusters.writePolicy(of, spec);
  }

  function newPolicy(): PolicyObject {
    const kind = random.weighted<PolicyKind>(KINDS);
    const namespace = kind === "CiliumClusterwideNetworkPolicy" ? "" : random.pick(NAMESPACES_USED);
    return { cluster: random.pick(reachable()).plan.name, kind, namespace, name: `policy-${++names}` };
  }

  async function deletePolicy(): Promise<void> {
    const known = written();
    if (known.length === 0) return;
    const of = random.pick(known);
    policies.splice(policies.indexOf(of), 1);
    note("delete a policy", policyName(of));
    await clusters.deletePolicy(of);
  }

  async function relabelPod(): Promise<void> {
    const known = idle(pods(), ({ name }) => name).filter(
      ({ node, cluster }) => !busy.has(node) && !unreachable.has(cluster),
    );
    if (known.length === 0) return;
    const pod = random.pick(known);
    const color = random.pick(COLORS.filter((one) => one !== pod.labels.latest?.["color"]));
    note("relabel a pod", `${pod.name} color=${color}`);
    await clusters.relabelPod(pod, { color });
  }

  async function relabelNamespace(): Promise<void> {
    const cluster = random.pick(reachable());
    const name = random.pick(NAMESPACES_USED);
    if (clusters.isPending(`${cluster.plan.name}/${name}`)) return;
    const before = model.namespace(cluster.plan.name, name).latest["team"];
    const team = random.pick(TEAMS.filter((one) => one !== before));
    note("relabel a namespace", `${cluster.plan.name}/${name} team=${team}`);
    await clusters.relabelNamespace(cluster, name, { team });
  }

  function successor({ name, namespace, node }: ModelPod) {
    const next = `${name.replace(/-\d+$/, "")}-${++names}`;
    return { name: next, namespace, node, labels: { name: next, role: ROLE_OF_BACKENDS, color: random.pick(COLORS) } };
  }

  function replacePod(isReused: boolean): void {
    const kind = isReused ? "give an address to another pod" : "replace a pod";
    const known = idle(servers(), ({ name }) => name);
    if (known.length === 0) return;
    const pod = random.pick(known);
    const plan = successor(pod);
    const { address = "", node } = pod;
    note(kind, `${pod.name} (${address}) by ${plan.name} color=${plan.labels.color}`);
    startBeside(node, async () => {
      await judgeFirst(pod);
      await clusters.deletePod(pod);
      podsChanged();
      if (isReused) await makeNextAddress(lab, nodeOf(node), address);
      const started = await clusters.startPod(clusters.named(pod.cluster), {
        ...plan,
        firstTargets: firstTargets(plan),
      });
      note(kind, `${started.name} runs with ${started.address}`);
      podsChanged();
    });
  }

  /** Nothing happens to a process that was killed and is not started again yet. */
  async function kill(selector: Selector): Promise<void> {
    try {
      await controlProcess(lab.plan.name, "kill", selector);
    } catch (thrown) {
      if (MeshError.from(thrown).code !== "NOT_FOUND") throw thrown;
    }
  }

  async function killAgent(): Promise<void> {
    const nodes = clusters.all.flatMap(({ plan }) => plan.nodes).filter(({ name }) => !busy.has(name));
    if (nodes.length === 0) return;
    const { cluster, name } = random.pick(nodes);
    note("kill an agent", name);
    await kill({ role: "node-agent", cluster, node: name });
  }

  async function killApiserver(): Promise<void> {
    const { plan } = random.pick(clusters.all);
    if (busy.has(plan.name)) return;
    note("kill an apiserver", plan.name);
    await kill({ role: "clustermesh-apiserver", cluster: plan.name });
  }

  function suspendApiserver(): void {
    const { plan } = random.pick(clusters.all);
    if (busy.has(plan.name)) return;
    note("suspend an apiserver", `${plan.name} for ${SUSPENDED_MS} ms`);
    startBeside(plan.name, async () => {
      const fault = { kind: "hang", cluster: plan.name, role: "clustermesh-apiserver" } as const;
      const { id } = await startFault(lab.plan.name, fault, 60_000);
      await sleep(SUSPENDED_MS);
      await clearFaults(lab.plan.name, id);
    });
  }

  function breakNetwork(step: StepKind, kind: FaultOfNetwork["kind"]): void {
    const fault = randomFault(
      kind,
      random,
      clusters.all.map(({ plan }) => plan),
    );
    const ms = LEAST_FAULT_MS + random.whole(MOST_FAULT_MS - LEAST_FAULT_MS);
    const silent = unreachableBy(fault);
    if (busy.has(NETWORK) || performance.now() - networkSince < QUIET_MS || silent.some((name) => busy.has(name)))
      return;
    for (const name of silent) unreachable.add(name);
    const made: NetworkFault = { fault, from: nowMicros() };
    model.faults.push(made);
    startBeside(NETWORK, async () => {
      const { id, fault: text, leftMs } = await startFault(lab.plan.name, fault, ms);
      note(step, `${text} for ${ms} ms`);
      await sleep(leftMs);
      while ((await listFaults(lab.plan.name)).faults.some((one) => one.id === id)) await sleep(50);
      made.to = nowMicros();
      networkSince = performance.now();
      for (const name of silent) unreachable.delete(name);
    });
  }

  /** Nodes, and the cluster if its API is among it, that a fault cuts off from all. */
  function unreachableBy(fault: FaultOfNetwork): readonly string[] {
    if (fault.kind === "node") return [fault.node];
    if (fault.kind !== "dark") return [];
    return [fault.cluster, ...clusters.named(fault.cluster).plan.nodes.map(({ name }) => name)];
  }

  async function settle(most: number): Promise<void> {
    const began = performance.now();
    while (clusters.pending > most) {
      if (performance.now() - began > PENDING_MS)
        throw new Error(
          `Timed out after ${PENDING_MS / 1000} s waiting for ${clusters.pending} changes to be in force`,
        );
      await sleep(50);
    }
  }

  async function stepOf(kind: StepKind): Promise<void> {
    switch (kind) {
      case "write a policy":
        return writePolicy();
      case "delete a policy":
        return deletePolicy();
      case "relabel a pod":
        return relabelPod();
      case "relabel a namespace":
        return relabelNamespace();
      case "replace a pod":
        return replacePod(false);
      case "give an address to another pod":
        return replacePod(true);
      case "kill an agent":
        return killAgent();
      case "kill an apiserver":
        return killApiserver();
      case "suspend an apiserver":
        return suspendApiserver();
      case "darken a cluster":
        return breakNetwork(kind, "dark");
      case "darken a node":
        return breakNetwork(kind, "node");
      case "cut a path":
        return breakNetwork(kind, "path");
      case "lose packets":
        return breakNetwork(kind, "loss");
      case "wait until all is in force":
        await settle(0);
        note(kind, "all is in force");
        await sleep(1000);
    }
  }

  return {
    steps,
    hold(work) {
      held = Promise.allSettled([held, work]);
    },
    async run(signal) {
      const ended = aborted(signal);
      while (!signal.aborted) {
        await Promise.race([held, ended]);
        await settle(MOST_PENDING * clusters.all.length);
        await stepOf(random.weighted(WEIGHTS));
        await sleep(50 + random.whole(500));
      }
      await Promise.all(beside);
    },
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
