/**
 * Plans the tiers of one Service: ids for their backends, lines for their tables, words. Nothing is written here.
 *
 * An unchanged tier keeps its table; one with other backends keeps its lines where they can be edited in place, and gets
 * a new table otherwise.
 */
import { Limit, TierWord } from "@isthmus/bpf";
import type { MergedBackend } from "@isthmus/clustermesh";
import type { DesiredTier, DesiredTiers } from "../../desired/services/desired-state.js";
import type { BackendStore } from "./backend-store.js";
import { followSlots } from "./follow-slots.js";
import { EMPTY_TIER, type Tier } from "./service-store.js";
import { editSlots, type SlotEdits } from "./slot-edits.js";
import { isEditable, isOrdered, linesToTake, sameSlots } from "./table-fit.js";
import type { Table, TableStore } from "./table-store.js";

export interface TierPlanner {
  /**
   * Throws `MAP_FULL` or `NoLines`; the caller then runs what is in `undo`, last first, and everything is as it was.
   */
  plan(old: readonly Tier[], wanted: DesiredTiers, undo: Undo): PlannedTiers;
  /** Counts one user less of the backends with these ids. */
  release(ids: readonly number[]): void;
  /** Gives the lines of a table back, and releases its backends. */
  freeTable(table: Table): void;
}

export interface PlannedTiers {
  /** As many as a row has words; those that are not wanted are empty and last. */
  readonly tiers: readonly Tier[];
  /** Tables that the tiers no longer have. */
  readonly deadTables: readonly Table[];
  /** Ids that left a slot of a table that stays. */
  readonly deadIds: readonly number[];
}

export type Undo = (() => void)[];
type Edit = SlotEdits & { readonly table: Table };

/** Unwinds a plan whose table has no room. */
export class NoLines extends Error {
  constructor(readonly slots: number) {
    super("No segment has room");
  }
}

/** Takes ids and lines from the stores, which the caller then writes. */
export function createTierPlanner(backends: BackendStore, tables: TableStore): TierPlanner {
  function release(ids: readonly number[]): void {
    for (const id of ids) backends.release(id);
  }

  function freeTable(table: Table): void {
    release(table.ids);
    tables.give(table);
  }

  /** The ids of a tier's slots, each with one more user. Throws `MAP_FULL`. */
  function acquireAll(old: Tier | undefined, slots: readonly MergedBackend[]): number[] {
    const idOf = followSlots(old);
    const ids = new Array<number>(slots.length);
    let acquired = 0;
    try {
      for (const backend of slots) {
        const known = idOf(backend, acquired);
        if (known !== undefined) backends.adoptUse(known);
        const id = known ?? backends.acquire(backend);
        ids[acquired++] = id;
      }
      return ids;
    } catch (thrown) {
      release(ids.slice(0, acquired));
      throw thrown;
    }
  }

  /** Collects edits of tables in `edits`, which are applied once all tiers have found room. */
  function planTier(old: Tier | undefined, tier: DesiredTier, undo: Undo, edits: Edit[]): Tier {
    const ids = acquireAll(old, tier.slots);
    const current = old?.table;
    if (current !== undefined && sameSlots(current, ids)) {
      release(ids);
      return tierOf(current, tier);
    }
    if (current !== undefined && isEditable(current, ids)) return tierOf(planEdit(current, ids, undo, edits), tier);
    const table = tables.take(ids, linesToTake(current, ids)) ?? tables.take(ids);
    if (table === undefined) {
      release(ids);
      throw new NoLines(ids.length);
    }
    undo.push(() => freeTable(table));
    return tierOf(table, tier);
  }

  function planEdit(current: Table, wanted: readonly number[], undo: Undo, edits: Edit[]): Table {
    const edit = editSlots(current.ids, wanted);
    release(edit.kept); // the table has them already
    undo.push(() => release(edit.added));
    const table = { line: current.line, lines: current.lines, ids: edit.ids };
    edits.push({ table, ...edit });
    return table;
  }

  return {
    plan(old, wanted, undo) {
      const tiers: Tier[] = [];
      const edits: Edit[] = [];
      for (let i = 0; i < Limit.Tiers; i++) {
        const tier = wanted[i];
        tiers.push(tier === undefined ? EMPTY_TIER : planTier(old[i], tier, undo, edits));
      }
      const deadIds: number[] = [];
      for (const { table, stores, removed } of edits) {
        tables.edit(table, stores);
        deadIds.push(...removed);
      }
      const deadTables: Table[] = [];
      for (const { table } of old) {
        if (table !== undefined && !tiers.some((tier) => tier.table?.line === table.line)) deadTables.push(table);
      }
      return { tiers, deadTables, deadIds };
    },
    release,
    freeTable,
  };
}

function tierOf(table: Table, { slots, tries, cluster }: DesiredTier): Tier {
  const word = TierWord.toWord({ line: table.line, slots: table.ids.length, tries, maglev: 0, cluster });
  return isOrdered(slots) ? { table, word, slots } : { table, word };
}
