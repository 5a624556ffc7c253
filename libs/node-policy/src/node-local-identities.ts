/**
 * Numbers of identities that have a meaning on this node only: labels together with a prefix that some policy names.
 *
 * A number that was given up is not given again before all others were, and never while it is in use. Numbers that an earlier
 * process left in the maps are not given, except to the same prefix.
 */
import { type IdentityNumber, MAX_LOCAL, MIN_LOCAL, nodeLocalIdentity, RESERVED } from "@isthmus/identity";
import { formatPrefix, type Prefix } from "@isthmus/model";

/** Node-local numbers that the maps had when this process started. */
export interface NumbersInMaps {
  /** All, in whatever map. */
  readonly inUse: Iterable<number>;
  /** Those of prefixes of the world, by text. */
  readonly prefixes: ReadonlyMap<string, number>;
}

export interface NodeLocalIdentity {
  readonly number: IdentityNumber;
  /** The identity that has its labels. */
  readonly base: IdentityNumber;
  /** The longest that policies name and that contains its addresses; undefined: none does. */
  readonly prefix: Prefix | undefined;
}

export interface NodeLocalIdentities {
  /** The identity for these labels and this prefix; one `release` for each call. Undefined: all numbers are in use. */
  acquire(base: IdentityNumber, prefix: Prefix | undefined): NodeLocalIdentity | undefined;
  /** Nothing happens for a number that is none of these. */
  release(number: IdentityNumber): void;
  /** Those with the labels of this identity. */
  of(base: IdentityNumber): Iterable<NodeLocalIdentity>;
  /** What changed since the last call. */
  takeChanges(): NodeLocalChanges;
}

export interface NodeLocalChanges {
  readonly made: readonly NodeLocalIdentity[];
  /** Not used at the last call either, and forgotten now: while addresses still had them, policies knew them. */
  readonly forgotten: readonly NodeLocalIdentity[];
  /** Some are not used any more and will be forgotten at the next call. */
  readonly again: boolean;
}

interface Entry extends NodeLocalIdentity {
  uses: number;
}

/** Has given no number. */
export function createNodeLocalIdentities(inMaps: NumbersInMaps): NodeLocalIdentities {
  const kept = new Set(inMaps.inUse);
  for (const number of inMaps.prefixes.values()) kept.add(number);
  const byNumber = new Map<IdentityNumber, Entry>();
  /** By the number of the labels, by the text of the prefix ("" = none). */
  const byBase = new Map<IdentityNumber, Map<string, Entry>>();
  const made = new Set<Entry>();
  /** Not used, or used again. */
  const released = new Set<Entry>();
  /** Those of `released` that the last call of `takeChanges` found. */
  let leaving = new Set<Entry>();
  let next = MIN_LOCAL;

  function freeNumber(base: IdentityNumber, text: string): IdentityNumber | undefined {
    const before = base === RESERVED.world ? inMaps.prefixes.get(text) : undefined;
    if (before !== undefined && !byNumber.has(before as IdentityNumber)) return before as IdentityNumber;
    for (let tried = MIN_LOCAL; tried <= MAX_LOCAL; tried++) {
      const number = nodeLocalIdentity(next);
      next = next === MAX_LOCAL ? MIN_LOCAL : next + 1;
      if (!byNumber.has(number) && !kept.has(number)) return number;
    }
    return undefined;
  }

  return {
    acquire(base, prefix) {
      const text = prefix === undefined ? "" : formatPrefix(prefix);
      const entries = byBase.get(base) ?? new Map<string, Entry>();
      const known = entries.get(text);
      if (known !== undefined) {
        known.uses++;
        return known;
      }
      const number = freeNumber(base, text);
      if (number === undefined) return undefined;
      const entry: Entry = { number, base, prefix, uses: 1 };
      byBase.set(base, entries.set(text, entry));
      byNumber.set(number, entry);
      made.add(entry);
      return entry;
    },
    release(number) {
      const entry = byNumber.get(number);
      if (entry !== undefined && --entry.uses === 0) released.add(entry);
    },
    of: (base) => byBase.get(base)?.values() ?? [],
    takeChanges() {
      const forgotten = [...leaving].filter(({ uses }) => uses === 0);
      for (const entry of forgotten) {
        released.delete(entry);
        byNumber.delete(entry.number);
        const entries = byBase.get(entry.base);
        entries?.delete(entry.prefix === undefined ? "" : formatPrefix(entry.prefix));
        if (entries?.size === 0) byBase.delete(entry.base);
      }
      leaving = new Set([...released].filter(({ uses }) => uses === 0));
      const changes = { made: [...made], forgotten, again: leaving.size > 0 };
      released.clear();
      made.clear();
      return changes;
    },
  };
}
