/**
 * Plans one frontend: ids for its backends, lines for its tables, words for its tiers. Nothing is written here.
 *
 * A tier that says the same already keeps its table. What finds no room leaves everything as it was and throws
 * `MAP_FULL`; a table without room is said, since only the caller can wait for a new segment.
 */
import type { DeltaTracker } from "@isthmus/reconcile";
import type { DesiredFrontend } from "../desired/desired-state.js";
import { type FrontendName, frontendValue } from "../desired/frontends.js";
import type { DesiredService, DesiredTier } from "../desired/services.js";
import type { BackendStore } from "./backend-store.js";
import { EMPTY_TIER, type ServiceEntry, type ServiceStore, TIERS, type Tier, tierWord } from "./service-store.js";
import type { Table, TableStore } from "./table-store.js";

export interface PlannerModules {
  readonly backends: BackendStore;
  readonly tables: TableStore;
  readonly services: ServiceStore;
  readonly frontends: DeltaTracker;
}

export interface Planner {
  /** Undefined when it is planned; else the slots of a table for which no segment has room: plan again with one more. */
  plan(name: FrontendName, wanted: DesiredFrontend | undefined): number | undefined;
  /** Out of use once the frontend is removed from the kernel: its row and tables. */
  retire(name: FrontendName): void;
  /** Gives a table back that no program can reach. */
  freeTable(table: Table): void;
  /** What went out of use since the last call. */
  takeDead(): { readonly tables: readonly Table[]; readonly services: readonly ServiceEntry[] };
  readonly garbage: boolean;
}

type Undo = (() => void)[];

/** Unwinds a plan whose table has no room. */
class NoLines extends Error {
  constructor(readonly slots: number) {
    super("No segment has room");
  }
}

export function createPlanner(modules: PlannerModules): Planner {
  const { backends, tables, services, frontends } = modules;
  let deadTables: Table[] = [];
  let deadServices: ServiceEntry[] = [];

  function releaseAll(ids: readonly number[]): void {
    for (const id of ids) backends.release(id);
  }

  function freeTable(table: Table): void {
    releaseAll(table.ids);
    tables.give(table);
  }

  function planTier(old: Tier | undefined, tier: DesiredTier, undo: Undo): Tier {
    const ids: number[] = [];
    try {
      for (const backend of tier.slots) ids.push(backends.acquire(backend));
      if (sameIds(old?.table, ids)) {
        releaseAll(ids);
        return tierOf(old.table, tier);
      }
      const table = tables.take(ids);
      if (table === undefined) throw new NoLines(ids.length);
      undo.push(() => freeTable(table));
      return tierOf(table, tier);
    } catch (thrown) {
      releaseAll(ids);
      throw thrown;
    }
  }

  function planTiers(entry: ServiceEntry, wanted: DesiredService, undo: Undo): void {
    const tiers: Tier[] = [];
    for (let i = 0; i < TIERS; i++) {
      const tier = wanted[i];
      tiers.push(tier === undefined ? EMPTY_TIER : planTier(entry.tiers[i], tier, undo));
    }
    for (const { table } of entry.tiers) {
      if (table !== undefined && !tiers.some((tier) => tier.table === table)) deadTables.push(table);
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

  return {
    plan(name, wanted) {
      try {
        if (wanted === undefined) frontends.deleteDesired(name);
        else if (wanted.kind === "reject") frontends.setDesired(name, frontendValue(name, 0));
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
    freeTable,
    takeDead() {
      const dead = { tables: deadTables, services: deadServices };
      deadTables = [];
      deadServices = [];
      return dead;
    },
    get garbage() {
      return deadTables.length > 0 || deadServices.length > 0;
    },
  };
}

function sameIds(table: Table | undefined, ids: readonly number[]): table is Table {
  return table !== undefined && table.ids.length === ids.length && ids.every((id, i) => id === table.ids[i]);
}

function tierOf(table: Table, tier: DesiredTier): Tier {
  return { table, word: tierWord(table, tier.tries, tier.cluster) };
}
