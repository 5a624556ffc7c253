/**
 * The identities of prefixes: pod ranges, in which nobody is of the world, and what policies tell apart of the world.
 *
 * A prefix of a policy inside of a pod range has no identity: an address there has one of its own, or is not known.
 */
import { reservedIdentity, unmanagedIdentity } from "@isthmus/identity";
import type { ClusterId, Prefix } from "@isthmus/model";
import type { ClusterRanges } from "./cluster-ranges.js";
import type { DesiredPrefix } from "./desired-policy.js";
import type { NodeLocalIdentities } from "./node-local-identities.js";

export interface PrefixRows {
  readonly rows: ReadonlyMap<string, DesiredPrefix>;
  /** `prefixes`: texts of those that are told apart now or not any more. Returns the texts of rows that changed. */
  update(prefixes: ReadonlySet<string>, ranges: ReadonlySet<string>): ReadonlySet<string>;
}

export interface PrefixRowsModules {
  /** Those that policies tell apart, by text. */
  readonly prefixes: ReadonlyMap<string, Prefix>;
  readonly ranges: Pick<ClusterRanges, "ranges" | "containing">;
  readonly local: Pick<NodeLocalIdentities, "acquire" | "release">;
}

const WORLD = reservedIdentity("world");

/** Has no row. */
export function createPrefixRows({ prefixes, ranges, local }: PrefixRowsModules): PrefixRows {
  const rows = new Map<string, DesiredPrefix>();

  function rowOf(text: string): DesiredPrefix | undefined {
    const range = ranges.ranges.get(text);
    if (range !== undefined)
      return { prefix: range.prefix, identity: unmanagedIdentity(range.cluster as ClusterId), exact: true };
    const prefix = prefixes.get(text);
    if (prefix === undefined || ranges.containing(prefix) !== undefined) return undefined;
    const identity = local.acquire(WORLD, prefix)?.number;
    return identity === undefined ? undefined : { prefix, identity, exact: false };
  }

  return {
    rows,
    update(changedPrefixes, changedRanges) {
      const changed = new Set<string>();
      // A range that came or went may contain any of them.
      const looked = new Set([
        ...changedPrefixes,
        ...changedRanges,
        ...(changedRanges.size > 0 ? prefixes.keys() : []),
      ]);
      for (const text of looked) {
        const before = rows.get(text);
        const row = rowOf(text);
        if (before?.exact === false) local.release(before.identity);
        if (before?.identity === row?.identity && before?.exact === row?.exact) continue;
        if (row === undefined) rows.delete(text);
        else rows.set(text, row);
        changed.add(text);
      }
      return changed;
    },
  };
}
