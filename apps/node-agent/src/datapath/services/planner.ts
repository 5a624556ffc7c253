/**
 * Plans one frontend: ids for its backends, lines for its tables, words for its tiers. Nothing is written here.
 *
 * An unchanged tier keeps its table; one with other backends keeps its lines where they can be edited in place, and gets a new
 * table otherwise. A plan without room leaves everything as it was and throws `MAP_FULL`; a table without room is reported,
 * since only the caller can wait for a new segment.
 */
import { Limit, TierWord } from "@isthmus/bpf";
import type { MergedBackend } from "@isthmus/clustermesh";
import { type DeltaTracker, type HashPort, mapFull } from "@isthmus/reconcile";
import type { DesiredFrontend, DesiredService, DesiredTier } from "../../desired/services/desired-state.js";
import { type FrontendName, frontendValue, otherProxyValue } from "../../desired/services/frontends.js";
import type { BackendStore } from "./backend-store.js";
import { followSlots } from "./follow-slots.js";
import { EMPTY_TIER, type ServiceEntry, type ServiceStore, type Tier } from "./service-store.js";
import { editSlots, type SlotEdits } from "./slot-edits.js";
import { isEditable, isOrdered, linesToTake, sameSlots } from "./table-fit.js";
import type { Table, TableStore } from "./table-store.js";

export interface PlannerModules {
  readonly backends: BackendStore;
  readonly tables: TableStore;
  readonly services: ServiceStore;
  readonly frontends: DeltaTracker;
  readonly frontendMap: Pick<HashPort, "name" | "maxEntries">;
}

export interface Planner {
  /** Undefined when planned; else the slots of a table for which no segment has room: add a segment and plan again. */
  plan(name: FrontendName, wanted: DesiredFrontend | undefined): number | undefined;
  /** Takes the row and tables of a frontend out of use; call it once the frontend is removed from the kernel. */
  retire(name: FrontendName): void;
  /** Frees what `takeDead` returned, once no program can reach it. */
  free(dead: Dead): void;
  /** What went out of use since the last call. */
  takeDead(): Dead;
  readonly garbage: boolean;
}

/** Objects that are out of use since an apply. */
export interface Dead {
  readonly tables: readonly Table[];
  readonly services: readonly ServiceEntry[];
  /** Backends that left a slot of a table that stays. */
  readonly ids: readonly number[];
}

type Undo = (() => void)[];
type Edit = SlotEdits & { readonly table: Table };

/** Unwinds a plan whose table has no room. */
class NoLines extends Error {
  constructor(readonly slots: number) {
    super("No segment has room");
  }
}

export function createPlanner(modules: PlannerModules): Planner {
  const { backends, tables, services, frontends, frontendMap } = modules;
  let deadTables: Table[] = [];
  let deadServices: ServiceEntry[] = [];
  let deadIds: number[] = [];

  function releaseAll(ids: readonly number[]): void {
    for (const id of ids) backends.release(id);
  }

  function freeTable(table: Table): void {
    releaseAll(table.ids);
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
      releaseAll(ids.slice(0, acquired));
      throw thrown;
    }
  }

  /** Collects edits of tables in `edits`, which are applied once all tiers have found room. */
  function planTier(old: Tier | undefined, tier: DesiredTier, undo: Undo, edits: Edit[]): Tier {
    const ids = acquireAll(old, tier.slots);
    const current = old?.table;
    if (current !== undefined && sameSlots(current, ids)) {
      releaseAll(ids);
      return tierOf(current, tier);
    }
    if (current !== undefined && isEditable(current, ids)) return tierOf(planEdit(current, ids, undo, edits), tier);
    const table = tables.take(ids, linesToTake(current, ids)) ?? tables.take(ids);
    if (table === undefined) {
      releaseAll(ids);
      throw new NoLines(ids.length);
    }
    undo.push(() => freeTable(table));
    return tierOf(table, tier);
  }

  function planEdit(current: Table, wanted: readonly number[], undo: Undo, edits: Edit[]): Table {
    const edit = editSlots(current.ids, wanted);
    releaseAll(edit.kept); // the table has them already
    undo.push(() => releaseAll(edit.added));
    const table = { line: current.line, lines: current.lines, ids: edit.ids };
    edits.push({ table, ...edit });
    return table;
  }

  function planTiers(entry: ServiceEntry, wanted: DesiredService, undo: Undo): void {
    const tiers: Tier[] = [];
    const edits: Edit[] = [];
    for (let i = 0; i < Limit.Tiers; i++) {
      const tier = wanted[i];
      tiers.push(tier === undefined ? EMPTY_TIER : planTier(entry.tiers[i], tier, undo, edits));
    }
    for (const { table, stores, removed } of edits) {
      tables.edit(table, stores);
      deadIds.push(...removed);
    }
    for (const { table } of entry.tiers) {
      if (table !== undefined && !tiers.some((tier) => tier.table?.line === table.line)) deadTables.push(table);
    }
    services.set(entry, tiers);
  }

  function planService(name: FrontendName, wanted: DesiredService): void {
    const undo: Undo = [];
    const isNew = !services.entries.has(name);
    try {
      const entry = services.ensure(name);
      if (isNew) undo.push(() => services.free(services.remove(name) ?? entry));
      planTiers(entry, wanted, undo);
      frontends.setDesired(name, frontendValue(name, entry.index));
    } catch (thrown) {
      for (const step of undo.reverse()) step();
      throw thrown;
    }
  }

  /** Nothing is taken for a frontend whose own row would find no room: no program could reach it. Throws `MAP_FULL`. */
  function checkRoom(name: FrontendName): void {
    if (frontends.actual.has(name) || frontends.absent.has(name)) return;
    const { maxEntries } = frontendMap;
    if (frontends.actual.size + frontends.absent.size >= maxEntries) throw mapFull(frontendMap.name, maxEntries);
  }

  return {
    plan(name, wanted) {
      if (wanted !== undefined) checkRoom(name);
      try {
        if (wanted === undefined) frontends.deleteDesired(name);
        else if (wanted.kind === "reject") frontends.setDesired(name, frontendValue(name, 0));
        else if (wanted.kind === "left") frontends.setDesired(name, otherProxyValue(name));
        else planService(name, wanted.tiers);
        return undefined;
      } catch (thrown) {
        if (thrown instanceof NoLines) return thrown.slots;
        throw thrown;
      }
    },
    retire(name) {
      const entry = services.remove(name);
      if (entry === undefined) return;
      for (const { table } of entry.tiers) if (table !== undefined) deadTables.push(table);
      deadServices.push(entry);
    },
    free(dead) {
      for (const entry of dead.services) services.free(entry);
      for (const table of dead.tables) freeTable(table);
      releaseAll(dead.ids);
    },
    takeDead() {
      const dead = { tables: deadTables, services: deadServices, ids: deadIds };
      deadTables = [];
      deadServices = [];
      deadIds = [];
      return dead;
    },
    get garbage() {
      return deadTables.length > 0 || deadServices.length > 0 || deadIds.length > 0;
    },
  };
}

function tierOf(table: Table, { slots, tries, cluster }: DesiredTier): Tier {
  const word = TierWord.toWord({ line: table.line, slots: table.ids.length, tries, maglev: 0, cluster });
  return isOrdered(slots) ? { table, word, slots } : { table, word };
}
