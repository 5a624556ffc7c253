/**
 * Judges what a probe found by every state that may have been in force while it lasted.
 *
 * It is a leak if the probe got through and no such state allows it, a fault if it did not and all of them do. Both ends judge
 * for themselves, each packet anew, so what the source's node allows at one moment and the target's at another one is legal.
 */
import type { Model, ModelPod } from "./model.js";
import { isBetween, type NetworkFault, overlaps, type Time } from "./network-faults.js";
import { type Direction, mayConcern, type Opinion, opinionOf, type Peer, type Port } from "./oracle.js";

export interface Probe {
  readonly kind: "connect" | "ask" | "hold" | "flow";
  /** Name of the pod that tried. */
  readonly client: string;
  readonly began: number;
  readonly ended: number;
  readonly sourcePort: number;
  /** `address:port`. */
  readonly target: string;
  readonly outcome: string;
  /** Host name of the pod that answered, if it said so; of a connection that is held, of the one with which it was established. */
  readonly answeredBy: string | undefined;
}

export type Judgement =
  /** As every state says. */
  | { readonly verdict: "allowed" | "denied" }
  /** States differ. */
  | { readonly verdict: "either" }
  /** It failed, which counts for nothing. */
  | { readonly verdict: "excused"; readonly reason: Excuse }
  /** Nobody knows which pod it concerns. */
  | { readonly verdict: "unknown" }
  | { readonly verdict: "leak" | "fault"; readonly pods: readonly string[] };

export type Excuse =
  | "cluster is dark"
  | "node is dark"
  | "path is cut"
  | "path loses packets"
  | "client did not run"
  | "client is new"
  | "target is new"
  | "target ends"
  | "nobody has the address";

/** A port of a Service. */
export interface JudgedService {
  /** `address:port`. */
  readonly frontend: string;
  readonly protocol: Port["protocol"];
  readonly targetPort: number;
  isBackend(pod: ModelPod): boolean;
}

export interface Judge {
  judge(probe: Probe): Judgement;
  /** The client's process was not running. */
  late(client: string, from: number, to: number): void;
}

/** How long a pod that has just started may be unknown elsewhere. */
const NEW_POD_MICROS = 2_000_000;
/** How long a Service may have a pod that is known to be gone: slices come another way than identities. */
const LEAVING_MICROS = 2_000_000;

/** Whether there is an admissible state that allows, and one that does not. */
interface Possible {
  readonly canAllow: boolean;
  readonly canDeny: boolean;
}

/** `services`: of each cluster; pods dial that of their own. */
export function createJudge(model: Model, services: readonly JudgedService[]): Judge {
  const lateness = new Map<string, { readonly from: number; readonly to: number }[]>();

  /** By the policies of the pod at one end. */
  function possible(direction: Direction, pod: ModelPod, peers: readonly ModelPod[], port: Port, time: Time): Possible {
    const seen = (one: ModelPod) => model.statesOf(one, pod.cluster, time.began, time.ended);
    const subjects = seen(pod).flatMap((state) => (state === "unknown" ? [] : [state]));
    const others = peers.flatMap((peer) =>
      seen(peer).map((state): Peer => (state === "unknown" ? { unknownOf: peer.cluster } : state)),
    );
    const policies = [...model.policies.values()]
      .filter(({ of }) => mayConcern(of, pod))
      .map(({ of, spec }) => ({ of, specs: spec.admissible(pod.cluster, time.began, time.ended) }));
    const all = subjects.flatMap((subject) =>
      others.map((peer) =>
        combine(
          policies.map(({ of, specs }) => specs.map((spec) => opinionOf(of, spec, direction, subject, peer, port))),
        ),
      ),
    );
    return { canAllow: all.some(({ canAllow }) => canAllow), canDeny: all.some(({ canDeny }) => canDeny) };
  }

  /** The pod, and those that had its address, for which it may be taken. */
  function withFormer(pod: ModelPod): readonly ModelPod[] {
    return [...new Set([pod, ...(pod.address === undefined ? [] : model.podsAt(pod.address))])];
  }

  function between(from: ModelPod, to: ModelPod, port: Port, time: Time): Possible {
    const egress = possible("egress", from, withFormer(to), port, time);
    const ingress = possible("ingress", to, withFormer(from), port, time);
    return { canAllow: egress.canAllow && ingress.canAllow, canDeny: egress.canDeny || ingress.canDeny };
  }

  function excuse(client: ModelPod, targets: readonly ModelPod[], probe: Probe): Excuse | undefined {
    const { kind, began, ended } = probe;
    if (lateness.get(client.name)?.some((late) => overlaps(late, probe))) return "client did not run";
    const isNew = ({ runsSince }: ModelPod) => runsSince === undefined || began < runsSince + NEW_POD_MICROS;
    if (isNew(client)) return "client is new";
    const fault = model.faults.find((one) => overlaps(one, probe) && isInTheWay(one, kind, client, targets));
    if (fault !== undefined) return EXCUSE_OF[fault.fault.kind];
    if (targets.length === 0) return "nobody has the address";
    if (targets.some(({ deletedAt }) => deletedAt !== undefined && deletedAt <= ended)) return "target ends";
    return targets.some(isNew) ? "target is new" : undefined;
  }

  function judge(probe: Probe): Judgement {
    const client = model.pods.get(probe.client);
    if (client === undefined) throw new Error(`Unknown pod "${probe.client}"`);
    const [address = "", port = ""] = probe.target.split(":");
    const protocol = probe.kind === "connect" || probe.kind === "hold" ? "TCP" : "UDP";
    const service = services.find((one) => one.frontend === probe.target && one.protocol === protocol);
    const judged: Port = { protocol, port: service?.targetPort ?? Number(port) };
    const named = probe.answeredBy === undefined ? undefined : model.pods.get(probe.answeredBy);
    if (named !== undefined && service === undefined) named.address ??= address;
    const wouldBe = service === undefined ? model.podsAt(address) : [...model.pods.values()].filter(service.isBackend);
    const concerned = named === undefined ? wouldBe : [named];
    if (probe.outcome === "open") return ofSuccess(probe, client, concerned, judged);
    if (probe.kind === "connect" && probe.outcome === "reset") {
      // It was established before, which must have been allowed.
      const before = ofSuccess(probe, client, concerned, judged);
      if (before.verdict === "leak") return before;
    }
    // A Service has a backend until the client's cluster knows that it is gone; what is moved from it later fails no more.
    const since = probe.began - (protocol === "UDP" ? LEAVING_MICROS : 0);
    const isThere = (pod: ModelPod) =>
      service === undefined
        ? pod.deletedAt === undefined || pod.deletedAt > probe.began
        : model.statesOf(pod, client.cluster, since, probe.ended).length > 0;
    const targets = concerned.filter(isThere);
    const reached = targets.map((target) => between(client, target, judged, probe));
    if (reached.length > 0 && reached.every(({ canAllow }) => !canAllow)) return { verdict: "denied" };
    const reason = excuse(client, targets, probe);
    if (reason !== undefined) return { verdict: "excused", reason };
    if (reached.some(({ canDeny }) => canDeny)) return { verdict: "either" };
    return { verdict: "fault", pods: targets.map(({ name }) => name) };
  }

  /** `targets`: the pod that answered, or those that may have. */
  function ofSuccess(probe: Probe, client: ModelPod, targets: readonly ModelPod[], port: Port): Judgement {
    // Policies may name the address of a pod, so it must be known; and one that did not say its name may be any new one.
    const asked = probe.answeredBy === undefined ? [...model.pods.values()] : targets;
    // A pod always reaches itself.
    if (targets.includes(client)) return { verdict: "allowed" };
    if (targets.length === 0 || asked.some(({ address }) => address === undefined)) return { verdict: "unknown" };
    const reached = targets.map((target) => between(client, target, port, probe));
    if (!reached.some(({ canAllow }) => canAllow)) return { verdict: "leak", pods: targets.map(({ name }) => name) };
    return { verdict: reached.some(({ canDeny }) => canDeny) ? "either" : "allowed" };
  }

  return {
    judge,
    late(client, from, to) {
      const all = lateness.get(client) ?? [];
      lateness.set(client, [...all.slice(-99), { from, to }]);
    },
  };
}

const EXCUSE_OF: Readonly<Record<NetworkFault["fault"]["kind"], Excuse>> = {
  dark: "cluster is dark",
  node: "node is dark",
  path: "path is cut",
  loss: "path loses packets",
};

/**
 * True when a try may fail because of the fault. `targets`: the pod concerned, or all backends of a Service. Of these a connect that
 * nothing answers is moved twice, the second time to another cluster: it reaches one, if all that are silent are of one cluster, or
 * there is but one. A datagram is not moved.
 */
function isInTheWay(fault: NetworkFault, kind: Probe["kind"], client: ModelPod, targets: readonly ModelPod[]): boolean {
  const silent = targets.filter((target) => isBetween(fault, client, target));
  if (silent.length === 0) return false;
  if (kind !== "connect" || fault.fault.kind === "loss" || silent.length === targets.length) return true;
  const isOfSilentCluster = ({ cluster }: ModelPod) => silent.some((one) => one.cluster === cluster);
  return (
    silent.length > 1 && (new Set(silent.map(({ cluster }) => cluster)).size > 1 || targets.every(isOfSilentCluster))
  );
}

/**
 * Each policy is in one of its versions, whichever the others are in. The opinions of a policy are those of its versions.
 */
export function combine(policies: readonly (readonly Opinion[])[]): Possible {
  const has = (policy: readonly Opinion[], ...wanted: readonly Opinion[]) => wanted.some((one) => policy.includes(one));
  const canBeSilent = policies.every((policy) => has(policy, "none"));
  const canNotDeny = policies.every((policy) => has(policy, "none", "isolates", "allows"));
  const canAllow = canBeSilent || (canNotDeny && policies.some((policy) => has(policy, "allows")));
  const canDeny =
    policies.some((policy) => has(policy, "denies")) ||
    (policies.some((policy) => has(policy, "isolates")) &&
      policies.every((policy) => has(policy, "none", "isolates", "denies")));
  return { canAllow, canDeny };
}
