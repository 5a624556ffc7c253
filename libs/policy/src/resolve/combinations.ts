/**
 * The policy sets in use, one for each combination of specs and named ports, brought up to date with the identities.
 *
 * Rows for identities that came or went change a set in place; a row that changes for an identity that stays makes another set.
 */
import type { IdentityNumber } from "@isthmus/identity";
import { type Combination, createCombination, namedPortsText } from "./combination.js";
import type { CompiledSpec } from "./compiled-policy.js";
import type { PortNames } from "./named-ports.js";
import type { IdentityChange, Matcher, PeerRegistry } from "./peer-registry.js";
import type { MutablePolicySet, PeerRow, PolicySet } from "./policy-set.js";

/** A combination that subjects have. */
export interface UsedCombination {
  /** The same for the same specs and ports. */
  readonly key: string;
  /** Undefined until the first `update`. */
  readonly set: PolicySet | undefined;
}

/** Rows of one set that came or went with their identities; undefined: it went. */
export type RowChanges = ReadonlyMap<IdentityNumber, PeerRow | undefined>;

export interface Combinations {
  /** The combination of these specs for pods with these ports; one `release` for each `acquire`. */
  acquire(specs: readonly CompiledSpec[], ports: PortNames): UsedCombination;
  /** The last one drops the set. */
  release(combination: UsedCombination): void;
  /** Builds sets that are new and changes the others; returns what was changed in place. */
  update(changes: ReadonlyMap<IdentityNumber, IdentityChange>): ReadonlyMap<PolicySet, RowChanges>;
}

interface Used extends UsedCombination {
  readonly combination: Combination;
  set: MutablePolicySet | undefined;
  uses: number;
}

/** Without any; `registry` has the identities. */
export function createCombinations(registry: PeerRegistry): Combinations {
  const used = new Map<string, Used>();
  const unbuilt = new Set<Used>();
  /** Those that are built. */
  const byMatcher = new Map<Matcher, Set<Used>>();

  function affectedBy({ before, now }: IdentityChange): ReadonlySet<Used> {
    const affected = new Set<Used>();
    for (const known of [before, now])
      for (const matcher of known?.matches ?? []) for (const one of byMatcher.get(matcher) ?? []) affected.add(one);
    return affected;
  }

  /** For each set the rows that differ from those it has. */
  function editsOf(changes: ReadonlyMap<IdentityNumber, IdentityChange>): ReadonlyMap<Used, Edits> {
    const edits = new Map<Used, Edits>();
    for (const [number, change] of byMatcher.size === 0 ? [] : changes) {
      for (const one of affectedBy(change)) {
        if (one.set === undefined) continue;
        const row = change.now && one.combination.rowOf(change.now);
        if (one.set.rows.get(number)?.key === row?.key) continue;
        const its = edits.get(one) ?? { rows: new Map(), ofKnown: false };
        edits.set(one, its);
        its.rows.set(number, row);
        its.ofKnown ||= change.before !== undefined && change.now !== undefined;
      }
    }
    return edits;
  }

  return {
    acquire(specs, ports) {
      const sorted = [...specs].sort((a, b) => a.serial - b.serial);
      const key = `${sorted.map((spec) => spec.serial).join(",")} ${namedPortsText(sorted, ports)}`;
      const known = used.get(key);
      if (known !== undefined) {
        known.uses++;
        return known;
      }
      const combination = createCombination(sorted, ports, registry);
      const one: Used = { key, combination, set: undefined, uses: 1 };
      used.set(key, one);
      unbuilt.add(one);
      for (const matcher of combination.matchers)
        byMatcher.set(matcher, (byMatcher.get(matcher) ?? new Set()).add(one));
      return one;
    },
    release({ key }) {
      const one = used.get(key);
      if (one === undefined || --one.uses > 0) return;
      used.delete(key);
      unbuilt.delete(one);
      for (const matcher of one.combination.matchers) {
        const users = byMatcher.get(matcher);
        users?.delete(one);
        if (users?.size === 0) byMatcher.delete(matcher);
      }
    },
    update(changes) {
      const inPlace = new Map<PolicySet, RowChanges>();
      for (const [one, { rows, ofKnown }] of editsOf(changes)) {
        const set = ofKnown ? one.set?.copy() : one.set;
        for (const [number, row] of rows) set?.setRow(number, row);
        one.set = set;
        if (set !== undefined && !ofKnown) inPlace.set(set, rows);
      }
      for (const one of unbuilt) {
        one.set = one.combination.build();
        for (const matcher of one.combination.matchers)
          byMatcher.set(matcher, (byMatcher.get(matcher) ?? new Set()).add(one));
      }
      unbuilt.clear();
      return inPlace;
    },
  };
}

interface Edits {
  readonly rows: Map<IdentityNumber, PeerRow | undefined>;
  /** One of them is of an identity that was there before and still is. */
  ofKnown: boolean;
}
