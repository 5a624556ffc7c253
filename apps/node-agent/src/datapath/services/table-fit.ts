/**
 * Decides whether a tier keeps its table, has it edited in place, or gets a new one, and of how many lines.
 *
 * Programs search `LIMIT_SEARCH_SLOTS` slots for a backend that a socket kept (docs/adr/0012). Tables up to that size are
 * edited in place and in any order; longer ones have the order of their plan, and any change rewrites them.
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
export function sameSlots({ ids: current }: Table, ids: readonly number[]): boolean {
  if (!isOrdered(ids)) return sameMembers(current, ids);
  return current.length === ids.length && ids.every((id, slot) => id === current[slot]);
}

/**
 * True if both may be in any order, no backend has two slots, and the lines suffice but are at most four times as many.
 */
export function isEditable({ ids: current, lines }: Table, ids: readonly number[]): boolean {
  if (isOrdered(current) || isOrdered(ids)) return false;
  const needed = linesOf(ids.length);
  return needed <= lines && lines <= 4 * needed && new Set(ids).size === ids.length;
}

/**
 * A table that outgrows its lines gets twice as many, so that it is rewritten only a few times until `ANY_ORDER` slots.
 */
export function linesToTake(current: Table | undefined, ids: readonly number[]): number {
  const needed = linesOf(ids.length);
  if (current === undefined || needed <= current.lines || isOrdered(ids)) return needed;
  return Math.max(needed, Math.min(2 * current.lines, linesOf(ANY_ORDER)));
}
