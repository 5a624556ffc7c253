/**
 * Identities that addresses still have in the maps, and no desired one has: their records are gone, or have not come yet. What a
 * pod's next set says of them would be what it says of strangers.
 */
import type { IdentityNumber } from "@isthmus/identity";
import type { PeerRow, PolicySet } from "@isthmus/policy";
import type { DesiredPolicy } from "@isthmus/node-policy";
import type { IdentityUses } from "./modules.js";
import { type RowWords, sameWords } from "./row-words.js";
import type { StoredSet } from "./set-store.js";

export interface UnknownIdentities {
  has(identity: number): boolean;
  /** Reads the desired state and the maps again when it is next asked. */
  reset(): void;
  /** What a set says of them, where one with these `others` says something else. */
  keptRows(before: StoredSet, set: PolicySet, others: RowWords | undefined): ReadonlyMap<number, RowWords>;
  /** True when a set in the maps says the same as a desired one, but for rows that may be added or deleted in place. */
  isSame(stored: StoredSet, set: PolicySet, wordsOf: (row: PeerRow) => RowWords | undefined): boolean;
}

export function createUnknownIdentities(
  desired: Pick<DesiredPolicy, "addresses" | "prefixes">,
  uses: IdentityUses,
): UnknownIdentities {
  let identities: { readonly known: ReadonlySet<number>; readonly unknown: ReadonlySet<number> } | undefined;

  function read(): NonNullable<typeof identities> {
    if (identities !== undefined) return identities;
    const known = new Set<number>(desired.addresses.values());
    for (const { identity } of desired.prefixes.values()) known.add(identity);
    identities = { known, unknown: new Set([...uses.identities].filter((identity) => !known.has(identity))) };
    return identities;
  }

  return {
    has: (identity) => read().unknown.has(identity),
    reset() {
      identities = undefined;
    },
    keptRows(before, set, others) {
      const kept = new Map<number, RowWords>();
      for (const identity of read().unknown) {
        if (set.rows.has(identity as IdentityNumber)) continue;
        const words = before.rows.get(identity) ?? before.others;
        if (others === undefined || !sameWords(words, others)) kept.set(identity, words);
      }
      return kept;
    },
    isSame(stored, set, wordsOf) {
      const others = wordsOf(set.others);
      if (others === undefined || !sameWords(others, stored.others)) return false;
      const made = new Map<PeerRow, RowWords | undefined>();
      for (const [identity, row] of set.rows) {
        if (!made.has(row)) made.set(row, wordsOf(row));
        const [words, held] = [made.get(row), stored.rows.get(identity)];
        if (held === undefined ? uses.has(identity) : words === undefined || !sameWords(words, held)) return false;
      }
      const { known } = read();
      for (const identity of stored.rows.keys())
        if (!set.rows.has(identity as IdentityNumber) && known.has(identity)) return false;
      return true;
    },
  };
}
