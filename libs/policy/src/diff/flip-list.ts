/** Collects flips: those of several groups of subjects that say the same are one, and of too many only the first are kept. */
import type { IdentityNumber } from "@isthmus/identity";
import type { Direction } from "../model/policy.js";
import type { RuleName } from "../resolve/rule-name.js";
import type { PortFlip } from "./port-flips.js";

/** What decides about a flow. */
export interface Decision {
  /** Rules that decide: one, nearly always. None: nothing isolates the subject, or no rule allows the flow. */
  readonly rules: readonly RuleName[];
  /** Where no rule allows the flow: the policies that isolate the subject, sorted, as `policyKey` writes them. */
  readonly isolatedBy: readonly string[];
}

/** Ports with one outcome before the change and the opposite one after it. */
export type DecidedPorts = Pick<PortFlip, "protocol" | "except" | "first" | "last"> & {
  readonly before: Decision;
  readonly after: Decision;
};

/** Between which ends. */
export interface FlipEnds {
  /** As the subjects see it. */
  readonly direction: Direction;
  /** Sorted. */
  readonly subjects: readonly string[];
  /** Of the subjects. */
  readonly subjectIdentities: ReadonlySet<IdentityNumber>;
  /** At the other end; sorted. */
  readonly peers: readonly IdentityNumber[];
  /** They are all that no rule tells apart, so what is to come is among them. */
  readonly others: boolean;
}

export interface VerdictFlip extends FlipEnds {
  /** In order. */
  readonly ports: readonly DecidedPorts[];
}

export interface FlipTotals {
  /** Ingress first, then with the most pairs first. */
  readonly flips: readonly VerdictFlip[];
  /** Flips that were not kept. */
  readonly more: number;
  /** Pairs of an identity of subjects and one at the other end, of all flips, by direction. */
  readonly pairs: Readonly<Record<Direction, number>>;
}

export interface FlipList {
  /** `ports`: all with the same result. Nothing happens without any. */
  add(ends: FlipEnds, ports: readonly DecidedPorts[]): void;
  /** Of all that were added. */
  totals(): FlipTotals;
}

interface Merged extends VerdictFlip {
  subjects: string[];
  readonly subjectIdentities: Set<IdentityNumber>;
}

/** Keeps `most` flips. */
export function createFlipList(most: number): FlipList {
  /** By direction and ports. */
  const kept = new Map<string, Merged[]>();
  const pairs = { ingress: 0, egress: 0 };
  let [count, more] = [0, 0];
  return {
    add(ends, ports) {
      if (ports.length === 0) return;
      pairs[ends.direction] += ends.subjectIdentities.size * ends.peers.length;
      const key = JSON.stringify([ends.direction, ports]);
      const known = kept.get(key) ?? [];
      const same = known.find((one) => hasSamePeers(one, ends));
      if (same !== undefined) {
        same.subjects.push(...ends.subjects);
        for (const number of ends.subjectIdentities) same.subjectIdentities.add(number);
      } else if (count === most) more++;
      else {
        count++;
        const own = { subjects: [...ends.subjects], subjectIdentities: new Set(ends.subjectIdentities) };
        known.push({ ...ends, ...own, ports });
        kept.set(key, known);
      }
    },
    totals() {
      const flips = [...kept.values()].flat();
      for (const one of flips) one.subjects.sort();
      return { flips: flips.sort(compareFlips), more, pairs };
    },
  };
}

function hasSamePeers(a: FlipEnds, b: FlipEnds): boolean {
  return a.others === b.others && a.peers.length === b.peers.length && a.peers.every((peer, i) => peer === b.peers[i]);
}

function compareFlips(a: VerdictFlip, b: VerdictFlip): number {
  if (a.direction !== b.direction) return a.direction === "ingress" ? -1 : 1;
  const [first, second] = [a.subjects[0] ?? "", b.subjects[0] ?? ""];
  return (
    pairsOf(b) - pairsOf(a) || (first < second ? -1 : Number(first > second)) || (a.peers[0] ?? 0) - (b.peers[0] ?? 0)
  );
}

function pairsOf({ subjectIdentities, peers }: VerdictFlip): number {
  return subjectIdentities.size * peers.length;
}
