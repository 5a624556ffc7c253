/**
 * Plans one frontend: a row for its Service, and its tiers (plan-tiers.ts). Nothing is written here.
 *
 * A plan without room leaves everything as it was and throws `MAP_FULL`; a table without room is reported, since only the
 * caller can wait for a new segment.
 */
import { type DeltaTracker, type HashPort, mapFull } from "@isthmus/reconcile";
import type { DesiredFrontend } from "../../desired/services/desired-state.js";
import { type FrontendName, frontendValue, otherProxyValue } from "../../desired/services/frontends.js";
import type { BackendStore } from "./backend-store.js";
import { createTierPlanner, NoLines, type Undo } from "./plan-tiers.js";
import { settingsOf } from "./service-settings.js";
import type { ServiceEntry, ServiceStore } from "./service-store.js";
import type { Table, TableStore } from "./table-store.js";

export interface PlannerModules {
  /** Counts one user for each slot of a planned table. */
  readonly backends: BackendStore;
  /** Gives and takes back the lines of tables. */
  readonly tables: TableStore;
  /** Has one row for each frontend of a Service. */
  readonly services: ServiceStore;
  /** Rows of mesh_frontends: planning sets what is desired, and reads what is in the kernel. */
  readonly frontends: DeltaTracker;
  /** Checked for room before anything is taken for a new frontend. */
  readonly frontendMap: Pick<HashPort, "name" | "maxEntries">;
}

export interface Planner {
  /** Undefined when planned; else the slots of a table for which no segment has room: add a segment and plan again. */
  plan(name: FrontendName, wanted: DesiredFrontend | undefined): number | undefined;
  /** Takes the row and tables of a frontend out of use; call it once the frontend is removed from the kernel. */
  retire(name: FrontendName): void;
  /** Frees what `takeDead` returned, once no program can reach it. */
  free(dead: Dead): void;
  /** What went out of use, at most `most` objects of each kind; the next call returns the rest. */
  takeDead(most: number): Dead;
  /** True when `takeDead` would return something. */
  readonly garbage: boolean;
}

/** Objects that are out of use since an apply. */
export interface Dead {
  /** Tables of rows that stay: lines to give back, and a user less for each of their ids. */
  readonly tables: readonly Table[];
  /** Rows to empty and to use again; their tables are given back after that, never in an earlier round. */
  readonly services: readonly ServiceEntry[];
  /** Backends that left a slot of a table that stays. */
  readonly ids: readonly number[];
}

type DesiredService = Extract<DesiredFrontend, { kind: "service" }>;

/** Takes rows and lines from the stores, which the caller then writes. */
export function createPlanner(modules: PlannerModules): Planner {
  const { services, frontends, frontendMap } = modules;
  const tierPlanner = createTierPlanner(modules.backends, modules.tables);
  const deadTables: Table[] = [];
  const deadServices: ServiceEntry[] = [];
  const deadIds: number[] = [];

  function planService(name: FrontendName, wanted: DesiredService): void {
    const undo: Undo = [];
    const isNew = !services.entries.has(name);
    try {
      const entry = services.ensure(name);
      if (isNew) undo.push(() => services.free(services.remove(name) ?? entry));
      const { tiers, ...dead } = tierPlanner.plan(entry.tiers, wanted.tiers, undo);
      deadTables.push(...dead.deadTables);
      deadIds.push(...dead.deadIds);
      services.set(entry, wanted.service, tiers, settingsOf(wanted));
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
        else planService(name, wanted);
        return undefined;
      } catch (thrown) {
        if (thrown instanceof NoLines) return thrown.slots;
        throw thrown;
      }
    },
    retire(name) {
      const entry = services.remove(name);
      if (entry !== undefined) deadServices.push(entry);
    },
    free(dead) {
      for (const entry of dead.services) {
        services.free(entry);
        for (const { table } of entry.tiers) if (table !== undefined) tierPlanner.freeTable(table);
      }
      for (const table of dead.tables) tierPlanner.freeTable(table);
      tierPlanner.release(dead.ids);
    },
    takeDead: (most) => ({
      tables: deadTables.splice(0, most),
      services: deadServices.splice(0, most),
      ids: deadIds.splice(0, most),
    }),
    get garbage() {
      return deadTables.length > 0 || deadServices.length > 0 || deadIds.length > 0;
    },
  };
}
