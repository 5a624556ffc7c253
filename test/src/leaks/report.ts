/** What the leak test found: counts, and each violation with what happened around it. Pure. */
import type { Step } from "./churn.js";
import type { Judgement, Probe } from "./judge.js";
import { type Model, policyName } from "./model.js";
import { type NetworkFault, overlaps } from "./network-faults.js";

export interface Violation {
  readonly probe: Probe;
  readonly verdict: "leak" | "fault";
  /** Of the pods at both ends: what each was, when. */
  readonly pods: readonly object[];
  /** Of the policies of both clusters that were, or may have been, in force. */
  readonly policies: readonly object[];
}

export interface Tally {
  /** By kind of probe (`kindOf`), by judgement: `connect`, `excused: target is new`. */
  readonly counts: Map<string, Map<string, number>>;
  violations: number;
  /** The first ones. */
  readonly kept: Violation[];
}

/** Of more the report has the number alone. */
const MOST_KEPT = 50;
/** Churn around a violation. */
const AROUND_MICROS = 10_000_000;

export function createTally(): Tally {
  return { counts: new Map(), violations: 0, kept: [] };
}

/** Counts a probe; returns the violation if it is one that is kept. */
export function addTo(tally: Tally, model: Model, probe: Probe, judgement: Judgement): Violation | undefined {
  const { verdict } = judgement;
  const name = verdict === "excused" ? `excused: ${judgement.reason}` : verdict;
  const kind = kindOf(model, probe);
  const counts = tally.counts.get(kind) ?? new Map<string, number>();
  tally.counts.set(kind, counts.set(name, (counts.get(name) ?? 0) + 1));
  if (verdict !== "leak" && verdict !== "fault") return undefined;
  tally.violations++;
  if (tally.kept.length >= MOST_KEPT) return undefined;
  const violation = violationOf(model, probe, verdict, judgement.pods);
  tally.kept.push(violation);
  return violation;
}

/** Connects to a Service are counted apart, and of these those while the network has a fault, some of which are moved. */
function kindOf(model: Model, probe: Probe): string {
  if (model.podsAt(addressOf(probe)).length > 0) return probe.kind;
  const isBroken = model.faults.some((fault) => overlaps(fault, probe));
  return `${probe.kind} to a Service${isBroken ? ", network broken" : ""}`;
}

function addressOf({ target }: Probe): string {
  return target.split(":")[0] ?? "";
}

function violationOf(model: Model, probe: Probe, verdict: "leak" | "fault", names: readonly string[]): Violation {
  const names_ = new Set([probe.client, ...names, ...model.podsAt(addressOf(probe)).map(({ name }) => name)]);
  const pods = [...names_].flatMap((name) => {
    const pod = model.pods.get(name);
    if (pod === undefined) return [];
    const { cluster, namespace, node, runsSince, deletedAt } = pod;
    return {
      ...{ name, cluster, namespace, node, address: pod.address, runsSince, deletedAt },
      labels: pod.labels.versions.map(versionJson),
      namespaceLabels: model.namespace(cluster, namespace).versions.map(versionJson),
    };
  });
  const isNear = (at: number) => Math.abs(at - probe.ended) < AROUND_MICROS;
  const policies = [...model.policies.values()]
    .filter(({ spec }) => spec.latest !== undefined || spec.versions.some(({ askedAt }) => isNear(askedAt)))
    .map(({ of, spec }) => ({ policy: policyName(of), versions: spec.versions.slice(1).map(versionJson) }));
  return { probe, verdict, pods, policies };
}

function versionJson({
  value,
  askedAt,
  inForceAt,
}: {
  readonly value: unknown;
  readonly askedAt: number;
  readonly inForceAt: ReadonlyMap<string, number>;
}) {
  return {
    value: value ?? null,
    askedAt: Number.isFinite(askedAt) ? askedAt : null,
    inForceAt: Object.fromEntries(inForceAt),
  };
}

export interface Outcome {
  readonly seed: number;
  readonly seconds: number;
  readonly tally: Tally;
  readonly steps: readonly Step[];
  /** Judged although every state that may have been in force said the same, as a share of all. */
  readonly certain: number;
  /** Connects that were moved to another backend. */
  readonly moved: number;
  readonly faults: readonly NetworkFault[];
}

/** Of all probes, those about which every state that may have been in force says the same. */
export function certainShare({ counts }: Tally): number {
  let [certain, all] = [0, 0];
  for (const of of counts.values())
    for (const [name, count] of of) {
      all += count;
      if (["allowed", "denied", "leak", "fault"].includes(name)) certain += count;
    }
  return all === 0 ? 0 : certain / all;
}

export function reportJson({ seed, seconds, tally, steps, certain, moved, faults }: Outcome): string {
  const counts = Object.fromEntries([...tally.counts].map(([kind, of]) => [kind, Object.fromEntries(of)]));
  const violations = tally.kept.map((violation) => ({
    ...violation,
    steps: steps.filter(({ at }) => Math.abs(at - violation.probe.ended) < AROUND_MICROS),
  }));
  const summary = {
    seed,
    seconds,
    violations: tally.violations,
    certain,
    moved,
    steps: countSteps(steps),
    counts,
    faults,
  };
  return `${JSON.stringify({ ...summary, found: violations }, null, 2)}\n`;
}

export function reportText({ seed, seconds, tally, steps, certain, moved }: Outcome): string {
  const kinds = [...tally.counts].map(([kind, of]) => {
    const all = [...of.values()].reduce((sum, count) => sum + count, 0);
    const parts = [...of].sort(([, a], [, b]) => b - a).map(([name, count]) => `${count} ${name}`);
    return `${kind.padEnd(36)} ${all}: ${parts.join(", ")}`;
  });
  const found = tally.kept.map(({ verdict, probe }) => {
    const { kind, client, sourcePort, target, outcome, answeredBy = "", began, ended } = probe;
    return `${verdict}: ${kind} of ${client}:${sourcePort} to ${target} ${outcome} ${answeredBy} from ${began} to ${ended}`;
  });
  const changes = Object.entries(countSteps(steps)).map(([kind, count]) => `${count} × ${kind}`);
  return [
    `Seed ${seed}, ${Math.round(seconds)} s, ${steps.length} steps: ${changes.join(", ")}`,
    ...kinds,
    `${moved} connects were moved to another backend`,
    `${Math.round(certain * 100)} % of the probes were judged by states that all say the same`,
    ...found,
    `${tally.violations} violations`,
    "",
  ].join("\n");
}

function countSteps(steps: readonly Step[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { kind } of steps) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}
