/**
 * Decides whether a tier keeps its table, has it edited in place, or gets a new one, and of how many lines.
 *
 * Programs search `LIMIT_SEARCH_SLOTS` slots for a backend that a socket kept (docs/adr/0012). Tables up to that size are
 * edited in place and in any order; longer ones stand in the order of their plan, and any change writes them anew.
 */
import { Limit } from "@isthmus/bpf";
import { sameMembers } from "./slot-edits.js";
import { linesOf, type Table } from "./table-store.js";

const ANY_ORDER = Limit.SearchSlots;

/** True for tables that are so long that programs search only a part of them, so their order matters. */
export function isOrdered(slots: { readonly length: number }): boolean {
  return slots.length > ANY_ORDER;
}

/** True when the table needs no write. */
export function sameSlots({ ids: held }: Table, ids: readonly number[]): boolean {
  if (!isOrdered(ids)) return sameMembers(held, ids);
  return held.length === ids.length && ids.every((id, slot) => id === held[slot]);
}

/** Slots of both are in any order, no backend has two, and the lines have room without being four times too many. */
export function isEditable({ ids: held, lines }: Table, ids: readonly number[]): boolean {
  if (isOrdered(held) || isOrdered(ids)) return false;
  const needed = linesOf(ids.length);
  return needed <= lines && lines <= 4 * needed && new Set(ids).size === ids.length;
}

/** A table that outgrew its lines gets twice as many, so that it is written anew a few times on its way to `ANY_ORDER`. */
export function linesToTake(held: Table | undefined, ids: readonly number[]): number {
  const needed = linesOf(ids.length);
  if (held === undefined || needed <= held.lines || isOrdered(ids)) return needed;
  return Math.max(needed, Math.min(2 * held.lines, linesOf(ANY_ORDER)));
}
