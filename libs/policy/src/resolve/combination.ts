/**
 * The specs that apply to a pod together, and the policy set that they make.
 *
 * Which row an identity has depends only on which peers of the rules match it. So peers are walked as a tree, a step for each that
 * matches, and each place of the tree has its row: thousands of identities share a handful of rows, each merged once.
 */
import type { IdentityNumber } from "@isthmus/identity";
import type { Direction } from "../model/policy.js";
import type { CompiledRule, CompiledSpec } from "./compiled-policy.js";
import { NO_PORT_NAMES, type PortNames, rangesOf } from "./named-ports.js";
import type { KnownIdentity, Matcher, PeerRegistry } from "./peer-registry.js";
import { createPeerRow, createPolicySet, type MutablePolicySet, type PeerRow } from "./policy-set.js";
import type { PortRule } from "./port-rules.js";
import { NO_RULE } from "./rule-name.js";
import { mergePortRules, type PeerVerdict } from "./verdict.js";

export interface Combination {
  /** All peers of its rules. */
  readonly matchers: readonly Matcher[];
  /** What it says of identities without a row. */
  readonly others: PeerRow;
  /** The set of all identities that there are. */
  build(): MutablePolicySet;
  /** The row of an identity; undefined where it has none of its own. */
  rowOf(identity: KnownIdentity): PeerRow | undefined;
}

/** A peer of the rules, with their indexes. */
interface Step {
  readonly matcher: Matcher;
  readonly rules: number[];
}

/** A place in the tree: the peers on the way to it are those that match. */
interface Place {
  /** Index of the last step; -1 at the root. */
  readonly step: number;
  /** Undefined at the root. */
  readonly parent: Place | undefined;
  readonly next: Map<number, Place>;
  /** Filled when it is first needed. */
  merged: MergedRows | undefined;
}

/** The rows of identities at one place. */
interface MergedRows {
  readonly rules: readonly CompiledRule[];
  /** A rule asks for ports of the peer by name, so the row depends on the identity. */
  readonly asksPeer: boolean;
  /** By the ports of the peer; one, by "", where they do not matter. */
  readonly byPorts: Map<string, PeerRow>;
}

/** `subjectPorts`: the named ports of the pods, which ingress rules mean. */
export function createCombination(
  specs: readonly CompiledSpec[],
  subjectPorts: PortNames,
  registry: PeerRegistry,
): Combination {
  const rules = specs.flatMap((spec) => spec.rules);
  const forAll = rules.flatMap(({ peers }, i) => (peers === "all" ? [i] : []));
  const steps = stepsOf(rules);
  const indexOf = new Map(steps.map(({ matcher }, i) => [matcher, i]));
  const root: Place = { step: -1, parent: undefined, next: new Map(), merged: undefined };

  function go(place: Place, step: number): Place {
    const known = place.next.get(step);
    if (known !== undefined) return known;
    const next: Place = { step, parent: place, next: new Map(), merged: undefined };
    place.next.set(step, next);
    return next;
  }

  function mergedAt(place: Place): MergedRows {
    if (place.merged !== undefined) return place.merged;
    const indexes = new Set(forAll);
    for (let at: Place | undefined = place; at !== undefined; at = at.parent)
      for (const rule of steps[at.step]?.rules ?? []) indexes.add(rule);
    const its = [...indexes].flatMap((i) => rules[i] ?? []);
    place.merged = { rules: its, asksPeer: its.some(asksPeer), byPorts: new Map() };
    return place.merged;
  }

  function verdict(direction: Direction, matching: readonly CompiledRule[], names: PortNames): PeerVerdict {
    const isIsolated = specs.some((spec) => spec.isolates.has(direction));
    const its = matching.filter(({ name }) => name.direction === direction);
    return mergePortRules(
      its.flatMap((rule) => portRules(rule, names)),
      { allow: !isIsolated, rule: NO_RULE },
    );
  }

  function rowAt(place: Place, portsOf: () => PortNames | undefined): PeerRow {
    const merged = mergedAt(place);
    const ports = (merged.asksPeer ? portsOf() : undefined) ?? NO_PORT_NAMES;
    const known = merged.byPorts.get(ports.text);
    if (known !== undefined) return known;
    const row = createPeerRow(verdict("ingress", merged.rules, subjectPorts), verdict("egress", merged.rules, ports));
    merged.byPorts.set(ports.text, row);
    return row;
  }

  const others = rowAt(root, () => undefined);
  const ownRow = (row: PeerRow): PeerRow | undefined => (row.key === others.key ? undefined : row);

  return {
    matchers: [...indexOf.keys()],
    others,
    build() {
      const places = new Map<IdentityNumber, Place>();
      for (const [i, { matcher }] of steps.entries())
        for (const number of matcher.members) places.set(number, go(places.get(number) ?? root, i));
      const set = createPolicySet(others);
      for (const [number, place] of places) {
        const row = ownRow(rowAt(place, () => registry.identity(number)?.ports));
        if (row !== undefined) set.setRow(number, row);
      }
      return set;
    },
    rowOf({ matches, ports }) {
      const matching = matches.flatMap((matcher) => indexOf.get(matcher) ?? []).sort((a, b) => a - b);
      return ownRow(rowAt(matching.reduce(go, root), () => ports));
    },
  };
}

function stepsOf(rules: readonly CompiledRule[]): readonly Step[] {
  const steps = new Map<Matcher, Step>();
  for (const [i, { peers }] of rules.entries()) {
    for (const matcher of peers === "all" ? [] : peers) {
      const step = steps.get(matcher) ?? { matcher, rules: [] };
      steps.set(matcher, step);
      step.rules.push(i);
    }
  }
  return [...steps.values()];
}

function asksPeer({ name, ports }: CompiledRule): boolean {
  return name.direction === "egress" && ports !== "all" && ports.some((match) => "name" in match);
}

/** What a rule says of ports, with those that it names as `names` has them. */
function portRules({ allow, number, ports }: CompiledRule, names: PortNames): readonly PortRule[] {
  if (ports === "all") return [{ allow, first: 0, last: 65535, rule: number }];
  return ports.flatMap((match) => rangesOf(match, names).map((range): PortRule => ({ allow, ...range, rule: number })));
}

/** Text of the ports that ingress rules of these specs mean by name: pods for which it is the same have the same set. */
export function namedPortsText(specs: readonly CompiledSpec[], names: PortNames): string {
  const texts = new Set<string>();
  for (const { rules } of specs) {
    for (const { name, ports } of rules) {
      if (name.direction !== "ingress" || ports === "all") continue;
      for (const match of ports) {
        if (!("name" in match)) continue;
        for (const { protocol, first } of rangesOf(match, names)) texts.add(`${match.name}/${protocol}=${first}`);
      }
    }
  }
  return [...texts].sort().join(",");
}
