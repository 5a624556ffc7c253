/**
 * The specs that apply to a pod together, and the policy set that they make.
 *
 * Which row an identity has depends only on which rules match it. So rules are walked as a tree, a step for each that matches,
 * and each place of the tree has its row: thousands of identities share a handful of rows, each merged once.
 */
import type { IdentityNumber } from "@isthmus/identity";
import type { Direction } from "../model/policy.js";
import type { CompiledRule, CompiledSpec } from "./compiled-policy.js";
import { type PortNames, rangesOf } from "./named-ports.js";
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

/** A place in the tree: the rules on the way to it are those that match. */
interface Place {
  /** Index of the last one; -1 at the root. */
  readonly rule: number;
  readonly rules: readonly CompiledRule[];
  /** A rule on the way asks for ports of the peer by name, so the row depends on the identity. */
  readonly asksPeer: boolean;
  readonly next: Map<number, Place>;
  /** By the ports of the peer; one, by "", where they do not matter. */
  readonly rows: Map<string, PeerRow>;
}

/** `subjectPorts`: the named ports of the pods, which ingress rules mean. */
export function createCombination(
  specs: readonly CompiledSpec[],
  subjectPorts: PortNames,
  registry: PeerRegistry,
): Combination {
  const rules = specs.flatMap((spec) => spec.rules);
  const forAll = rules.filter(({ peers }) => peers === "all");
  const root: Place = { rule: -1, rules: forAll, asksPeer: false, next: new Map(), rows: new Map() };
  const rulesOf = new Map<Matcher, number[]>();
  for (const [i, { peers }] of rules.entries()) {
    for (const matcher of peers === "all" ? [] : peers) rulesOf.set(matcher, [...(rulesOf.get(matcher) ?? []), i]);
  }

  function step(place: Place, index: number): Place {
    if (place.rule === index) return place;
    const known = place.next.get(index);
    if (known !== undefined) return known;
    const rule = rules[index];
    if (rule === undefined) return place;
    const next: Place = {
      rule: index,
      rules: [...place.rules, rule],
      asksPeer: place.asksPeer || asksPeer(rule),
      next: new Map(),
      rows: new Map(),
    };
    place.next.set(index, next);
    return next;
  }

  function verdict(direction: Direction, matching: readonly CompiledRule[], names: PortNames): PeerVerdict {
    const isIsolated = specs.some((spec) => spec.isolates.has(direction));
    const its = matching.filter(({ name }) => name.direction === direction);
    return mergePortRules(
      its.flatMap((rule) => portRules(rule, names)),
      { allow: !isIsolated, rule: NO_RULE },
    );
  }

  function rowAt(place: Place, identity: KnownIdentity | undefined): PeerRow {
    const peerPorts = place.asksPeer ? identity?.ports : undefined;
    const key = peerPorts?.text ?? "";
    const known = place.rows.get(key);
    if (known !== undefined) return known;
    const ingress = verdict("ingress", place.rules, subjectPorts);
    const row = createPeerRow(ingress, verdict("egress", place.rules, peerPorts ?? { text: "", ports: [] }));
    place.rows.set(key, row);
    return row;
  }

  const others = rowAt(root, undefined);
  const ownRow = (row: PeerRow): PeerRow | undefined => (row.key === others.key ? undefined : row);

  return {
    matchers: [...rulesOf.keys()],
    others,
    build() {
      const places = new Map<IdentityNumber, Place>();
      for (const [i, { peers }] of rules.entries()) {
        for (const { members } of peers === "all" ? [] : peers)
          for (const number of members) places.set(number, step(places.get(number) ?? root, i));
      }
      const set = createPolicySet(others);
      for (const [number, place] of places)
        set.setRow(number, ownRow(rowAt(place, place.asksPeer ? registry.identity(number) : undefined)));
      return set;
    },
    rowOf(identity) {
      const matching = identity.matches.flatMap((matcher) => rulesOf.get(matcher) ?? []).sort((a, b) => a - b);
      return ownRow(rowAt(matching.reduce(step, root), identity));
    },
  };
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
