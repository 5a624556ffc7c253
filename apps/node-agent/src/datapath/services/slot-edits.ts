/**
 * Edits the slots of a table in place, word by word.
 *
 * ```
 *   current a b c d e        wanted a c e f      e, behind the last slot, fills the slot of b; f, new, that of d
 *   after   a e c f│e        stores: slot 1 = e, slot 3 = f; then the tier word has 4 slots
 * ```
 * In: the ids in the slots, and the wanted ones, each once. Out: the stores, and what they change. A store replaces an id that
 * is not wanted, or writes behind the last slot, so a program between two stores finds old and new backends and every one
 * that stays. A slot that ends up behind the last keeps its id for programs that loaded the previous tier word.
 */
export interface SlotEdits {
  /** The slots afterwards. */
  readonly ids: readonly number[];
  /** Slot -> id to store. */
  readonly stores: ReadonlyMap<number, number>;
  /** Ids that were in no slot. */
  readonly added: readonly number[];
  /** Ids that leave slots; twice when a slot repeated an id. */
  readonly removed: readonly number[];
  /** Ids that stay. */
  readonly kept: readonly number[];
}

/** `wanted` has each id once; `current` may repeat one. Pure. */
export function editSlots(current: readonly number[], wanted: readonly number[]): SlotEdits {
  const missing = new Set(wanted);
  const stays = current.map((id) => missing.delete(id));
  const last = wanted.length;
  const fill = [...current.filter((_, slot) => slot >= last && stays[slot]), ...missing];
  const stores = new Map<number, number>();
  const ids = Array.from({ length: last }, (_, slot) => {
    const id = current[slot];
    if (id !== undefined && stays[slot]) return id;
    const next = fill[stores.size] ?? 0;
    stores.set(slot, next);
    return next;
  });
  return {
    ids,
    stores,
    added: [...missing],
    removed: current.filter((_, slot) => !stays[slot]),
    kept: current.filter((_, slot) => stays[slot]),
  };
}

/** True when the slots hold the same ids in any order. */
export function sameMembers(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  if (a.every((id, slot) => id === b[slot])) return true;
  const [left, right] = [Uint32Array.from(a).sort(), Uint32Array.from(b).sort()];
  return left.every((id, i) => id === right[i]);
}
