/**
 * What several rules say of one protocol's ports, taken together: deny beats allow, whatever is narrower.
 *
 * Of rules that say the same the widest is named, so that a port that is allowed anyway does not split a range; of equally wide
 * ones that with the lowest number, so that the order in which policies came does not matter.
 */
import { LAST_PORT } from "../model/policy.js";

/** A rule with the ports that it has for one pod. */
export interface PortRule {
  /** False: it denies. */
  readonly allow: boolean;
  /** Of all protocols when absent, and then of all ports. */
  readonly protocol?: number;
  /** 0 to 65535. */
  readonly first: number;
  /** At least `first`. */
  readonly last: number;
  /** Number of the rule. */
  readonly rule: number;
}

/** What holds, and the rule that decided. */
export interface Outcome {
  /** False: denied, by a rule or for want of one. */
  readonly allow: boolean;
  /** `NO_RULE` where none did. */
  readonly rule: number;
}

/** Ports with one outcome. */
export interface Segment extends Outcome {
  /** 0, or the port after the last of the one before. */
  readonly first: number;
  /** 65535 in the last one. */
  readonly last: number;
}

/** Negative when `a` decides where both apply. */
export function comparePortRules(a: PortRule, b: PortRule): number {
  if (a.allow !== b.allow) return a.allow ? 1 : -1;
  if ((a.protocol === undefined) !== (b.protocol === undefined)) return a.protocol === undefined ? -1 : 1;
  return b.last - b.first - (a.last - a.first) || a.rule - b.rule;
}

/**
 * All ports in order, neighbours with different outcomes. `rules`: those that apply to the protocol, the deciding ones first;
 * `otherwise`: where none does.
 */
export function segmentsOf(rules: readonly PortRule[], otherwise: Outcome): readonly Segment[] {
  const starts = startsOf(rules);
  const deciding: (PortRule | undefined)[] = [];
  // From each place the next one that no rule has taken yet.
  const free = starts.map((_, i) => i);
  const nextFree = (from: number): number => {
    let at = from;
    for (let next = free[at]; next !== undefined && next !== at; next = free[at]) {
      free[at] = free[next] ?? next;
      at = next;
    }
    return at;
  };
  const places = new Map(starts.map((start, i) => [start, i]));
  for (const rule of rules) {
    let place = nextFree(places.get(rule.first) ?? 0);
    while ((starts[place] ?? LAST_PORT + 1) <= rule.last) {
      deciding[place] = rule;
      free[place] = place + 1;
      place = nextFree(place);
    }
  }
  return joinEqual(starts, (place) => deciding[place] ?? otherwise);
}

/** Where something may begin, and the end of all ports. */
function startsOf(rules: readonly PortRule[]): readonly number[] {
  const starts = new Set([0, LAST_PORT + 1]);
  for (const { first, last } of rules) starts.add(first).add(last + 1);
  return [...starts].sort((a, b) => a - b);
}

function joinEqual(starts: readonly number[], outcomeAt: (place: number) => Outcome): readonly Segment[] {
  const segments: Segment[] = [];
  for (let place = 0; place + 1 < starts.length; place++) {
    const { allow, rule } = outcomeAt(place);
    const before = segments.at(-1);
    const last = (starts[place + 1] ?? 0) - 1;
    if (before !== undefined && sameOutcome(before, { allow, rule }))
      segments[segments.length - 1] = { ...before, last };
    else segments.push({ first: starts[place] ?? 0, last, allow, rule });
  }
  return segments;
}

/** Equal exactly for the same outcomes. */
export function outcomeText({ allow, rule }: Outcome): string {
  return `${allow ? "+" : "-"}${rule}`;
}

/** True when they name the same rule, too. */
export function sameOutcome(a: Outcome, b: Outcome): boolean {
  return a.allow === b.allow && a.rule === b.rule;
}
