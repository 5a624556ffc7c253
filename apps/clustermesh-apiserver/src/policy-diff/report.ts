/** Writes a comparison of policies as the answer for the CLI, cut where it is long; every cut is counted in it (pure). */
import { CLUSTER_LABEL, identityCluster, isReservedKey, type Labels, NAMESPACE_LABEL } from "@isthmus/identity";
import { formatPrefix, printable } from "@isthmus/model";
import {
  type DecidedPorts,
  type Decision,
  type FlipTotals,
  parsePolicyKey,
  type RuleName,
  type VerdictFlip,
} from "@isthmus/policy";
import {
  type FlipEnds,
  type FlipIdentity,
  type FlipPorts,
  type FlipReason,
  type FlipTotals as FlipTotalsReport,
  PolicyDirection,
  PolicyFlip,
  type PolicyName,
} from "@isthmus/proto";
import type { Slices } from "@isthmus/runtime";
import type { KnownEnd, MeshEnds } from "./mesh-ends.js";

/** Identities that pods have. */
const MAX_POD_IDENTITIES = 4;
/** Prefixes and reserved ones. */
const MAX_OTHER_IDENTITIES = 8;
const MAX_PODS = 3;
const MAX_LABELS = 6;
const MAX_PORTS = 50;
const MAX_NAMES = 3;

const DIRECTIONS = {
  ingress: PolicyDirection.POLICY_DIRECTION_INGRESS,
  egress: PolicyDirection.POLICY_DIRECTION_EGRESS,
} as const;

export interface FlipReport {
  /** In the order of the comparison. */
  readonly flips: readonly PolicyFlip[];
  /** Of all, also those that were left out. */
  readonly totals: FlipTotalsReport;
}

/** `allowed`: what the verdicts turn to. The flips have at most `bytes` together. */
export function* reportFlips(
  { flips, more, pairs }: FlipTotals,
  allowed: boolean,
  ends: MeshEnds,
  bytes: number,
): Slices<FlipReport> {
  const reports: PolicyFlip[] = [];
  let left = bytes;
  for (const flip of flips) {
    const report = flipReport(flip, allowed, ends);
    left -= PolicyFlip.encode(report).finish().length;
    if (left < 0) break;
    reports.push(report);
    yield;
  }
  const moreFlips = more + flips.length - reports.length;
  const totals = { ingressPairs: BigInt(pairs.ingress), egressPairs: BigInt(pairs.egress), moreFlips };
  return { flips: reports, totals };
}

function flipReport(flip: VerdictFlip, allowed: boolean, { peers, subjectEnds }: MeshEnds): PolicyFlip {
  const its = flip.subjects.flatMap((id) => subjectEnds.get(id) ?? []);
  return {
    direction: DIRECTIONS[flip.direction],
    allowed,
    subjects: { ...endsReport(its), others: false },
    peers: { ...endsReport(flip.peers.flatMap((number) => peers.get(number) ?? [])), others: flip.others },
    ports: flip.ports.slice(0, MAX_PORTS).map(portsReport),
    morePorts: Math.max(0, flip.ports.length - MAX_PORTS),
  };
}

function endsReport(ends: readonly KnownEnd[]): Omit<FlipEnds, "others"> {
  // Pods of one identity with other ports are other subjects.
  const identities = [...new Map(ends.map((end) => [identityKey(end), end])).values()];
  const ofPods = identities.filter(({ pods }) => pods.size > 0);
  const ofNone = identities.filter(({ pods }) => pods.size === 0);
  const shown = [...ofNone.slice(0, MAX_OTHER_IDENTITIES), ...fromAllClusters(ofPods, MAX_POD_IDENTITIES)];
  const pods = fromAllClusters(
    ends.filter((end) => end.pods.size > 0),
    MAX_PODS,
  ).map(({ pods: [first = ""] }) => first);
  for (const end of ends) {
    if (pods.length >= MAX_PODS) break;
    for (const pod of end.pods) if (pods.length < MAX_PODS && !pods.includes(pod)) pods.push(pod);
  }
  return {
    identities: shown.map(identityReport),
    moreIdentities: identities.length - shown.length,
    pods: pods.map((pod) => printable(pod, 600)),
    morePods: podsOf(ends) - pods.length,
    auditedPods: podsOf(ends.filter(({ audited }) => audited === true)),
  };
}

function podsOf(ends: readonly KnownEnd[]): number {
  return ends.reduce((sum, { pods }) => sum + pods.size, 0);
}

function identityKey({ number, identity: { labels, prefix } }: KnownEnd): string {
  const range = prefix === undefined ? "" : formatPrefix(prefix);
  return number === 0 ? `${[...labels.keys()]} ${range}` : `${number} ${range}`;
}

/** The first of each cluster, then others; of `most` and fewer all. */
function fromAllClusters(ends: readonly KnownEnd[], most: number): readonly KnownEnd[] {
  const firsts = new Map<number, KnownEnd>();
  for (const end of ends) {
    const cluster = identityCluster(end.number);
    if (!firsts.has(cluster)) firsts.set(cluster, end);
  }
  const shown = new Set([...firsts.values()].slice(0, most));
  for (const end of ends) {
    if (shown.size >= most) break;
    shown.add(end);
  }
  return [...shown];
}

function identityReport({ number, identity: { labels, prefix }, unmanagedOf = "" }: KnownEnd): FlipIdentity {
  const shown = shownLabels(labels);
  return {
    number,
    labels: shown
      .slice(0, MAX_LABELS)
      .map(([key, value]) => ({ key: printable(key, 512), value: printable(value, 256) })),
    moreLabels: Math.max(0, shown.length - MAX_LABELS),
    prefix: prefix === undefined ? "" : formatPrefix(prefix),
    cluster: unmanagedOf,
  };
}

/** Cluster and namespace first, then those of the pod itself; of what is no pod all. */
function shownLabels(labels: Labels): readonly (readonly [string, string])[] {
  const first = [...labels].filter(([key]) => key === CLUSTER_LABEL || key === NAMESPACE_LABEL);
  const others = [...labels].filter(([key]) => key.startsWith("reserved:") || !isReservedKey(key));
  return [...first.sort(), ...others];
}

function portsReport({ protocol, except, first, last, before, after }: DecidedPorts): FlipPorts {
  return {
    ...{ protocol: protocol ?? 0, except: [...except], first, last },
    ...{ before: decisionReport(before), after: decisionReport(after) },
  };
}

function decisionReport({ rules, isolatedBy }: Decision): FlipReason {
  return {
    rules: rules.slice(0, MAX_NAMES).map((rule: RuleName) => ({ policy: nameReport(rule.policy), path: rule.path })),
    isolating: isolatedBy.slice(0, MAX_NAMES).map(nameReport),
    moreIsolating: Math.max(0, isolatedBy.length - MAX_NAMES),
  };
}

function nameReport(key: string): PolicyName {
  return parsePolicyKey(key);
}
