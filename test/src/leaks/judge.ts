/**
 * Judges what a probe found by every state that may have been in force while it lasted.
 *
 * It is a leak if the probe got through and no such state allows it, a fault if it did not and all of them do. Both ends judge
 * for themselves, each packet anew, so what the source's node allows at one moment and the target's at another one is legal.
 */
import type { Model, ModelPod } from "./model.js";
import { type Direction, type Opinion, opinionOf, type Peer, type Port } from "./oracle.js";

export interface Probe {
  readonly kind: "connect" | "ask" | "hold" | "flow";
  /** Name of the pod that tried. */
  readonly client: string;
  readonly began: number;
  readonly ended: number;
  /** `address:port`. */
  readonly target: string;
  readonly outcome: string;
  /** Host name of the pod that answered, if it said so. */
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
  | "clusters cut"
  | "client did not run"
  | "client is new"
  | "target is new"
  | "target ends"
  | "nobody has the address";

export interface JudgedService {
  /** Of its one port, `address:port`. */
  readonly frontend: string;
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
      .filter(({ of }) => of.cluster === pod.cluster && of.namespace === pod.namespace)
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

  /** From one pod to another one, each of which may be taken for one that had its address. `owners`: of that of `to`. */
  function between(from: ModelPod, to: ModelPod, owners: readonly ModelPod[], port: Port, time: Time): Possible {
    const egress = possible("egress", from, [...new Set([to, ...owners])], port, time);
    const former = from.address === undefined ? [] : model.podsAt(from.address);
    const ingress = possible("ingress", to, [...new Set([from, ...former])], port, time);
    return { canAllow: egress.canAllow && ingress.canAllow, canDeny: egress.canDeny || ingress.canDeny };
  }

  function excuse(client: ModelPod, targets: readonly ModelPod[], { began, ended }: Time): Excuse | undefined {
    const overlaps = ({ from, to }: { readonly from: number; readonly to?: number }) =>
      from <= ended && (to === undefined || to >= began);
    if (lateness.get(client.name)?.some(overlaps)) return "client did not run";
    const isNew = ({ runsSince }: ModelPod) => runsSince === undefined || began < runsSince + NEW_POD_MICROS;
    if (isNew(client)) return "client is new";
    const isAbroad = targets.some(({ cluster }) => cluster !== client.cluster);
    if (isAbroad && model.cuts.some(overlaps)) return "clusters cut";
    if (targets.length === 0) return "nobody has the address";
    if (targets.some(({ deletedAt }) => deletedAt !== undefined && deletedAt <= ended)) return "target ends";
    return targets.some(isNew) ? "target is new" : undefined;
  }

  function judge(probe: Probe): Judgement {
    const client = model.pods.get(probe.client);
    if (client === undefined) throw new Error(`Unknown pod "${probe.client}"`);
    const [address = "", port = ""] = probe.target.split(":");
    const service = services.find(({ frontend }) => frontend === probe.target);
    const protocol = probe.kind === "connect" || probe.kind === "hold" ? "TCP" : "UDP";
    const judged: Port = { protocol, port: service?.targetPort ?? Number(port) };
    const owners = service === undefined ? model.podsAt(address) : [];
    if (probe.outcome === "open") return ofSuccess(probe, client, service, owners, judged);
    // A Service has a backend until the client's cluster knows that it is gone.
    const isThere = (pod: ModelPod) =>
      service === undefined
        ? pod.deletedAt === undefined || pod.deletedAt > probe.began
        : model.statesOf(pod, client.cluster, probe.began, probe.ended).length > 0;
    const targets = (service === undefined ? owners : [...model.pods.values()].filter(service.isBackend)).filter(
      isThere,
    );
    const reached = targets.map((target) => between(client, target, owners, judged, probe));
    if (reached.length > 0 && reached.every(({ canAllow }) => !canAllow)) return { verdict: "denied" };
    const reason = excuse(client, targets, probe);
    if (reason !== undefined) return { verdict: "excused", reason };
    if (reached.some(({ canDeny }) => canDeny)) return { verdict: "either" };
    return { verdict: "fault", pods: targets.map(({ name }) => name) };
  }

  function ofSuccess(
    probe: Probe,
    client: ModelPod,
    service: JudgedService | undefined,
    owners: readonly ModelPod[],
    port: Port,
  ): Judgement {
    const named = probe.answeredBy === undefined ? undefined : model.pods.get(probe.answeredBy);
    const wouldBe = service === undefined ? owners : [...model.pods.values()].filter(service.isBackend);
    if (named !== undefined && service === undefined) named.address ??= probe.target.split(":")[0] ?? "";
    const targets = named === undefined ? wouldBe : [named];
    // Policies may name the address of a pod, so it must be known; and one that did not say its name may be any new one.
    const isNamed = named !== undefined || probe.kind === "hold" || probe.kind === "flow";
    const asked = isNamed ? targets : [...model.pods.values()];
    // A pod always reaches itself.
    if (targets.includes(client)) return { verdict: "allowed" };
    if (targets.length === 0 || asked.some(({ address }) => address === undefined)) return { verdict: "unknown" };
    const reached = targets.map((target) => between(client, target, owners, port, probe));
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

type Time = Pick<Probe, "began" | "ended">;

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
