/**
 * mesh_frontends, mesh_services, mesh_tables and mesh_backends as a part of the datapath: what programs choose from.
 *
 * ```
 *   make:   backends ─► lines ─► tier words ─► frontends in
 *   break:  frontends out
 *   free:   lines, service rows, backend ids
 * ```
 * Adopted frontends that are not desired stay until a sweep: only a source in sync shows that they are gone.
 */
import { type DatapathPort, MAP_NAMES } from "@isthmus/bpf";
import { createDeltaTracker, createStatusTable } from "@isthmus/reconcile";
import { inSlices, inTurns, type Slices } from "@isthmus/runtime";
import type { Part } from "../../apply/part.js";
import type { DesiredState } from "../../desired/services/desired-state.js";
import type { FrontendName } from "../../desired/services/frontends.js";
import type { NodeRows } from "../nodes/nodes-part.js";
import { createBackendStore } from "./backend-store.js";
import { insertFrontends, removeFrontends } from "./frontend-writer.js";
import type { Loaded } from "./load.js";
import { createFrontendPlanning, type PlannedFrontends } from "./plan-frontends.js";
import { createPlanner } from "./planner.js";
import { createServiceStore } from "./service-store.js";
import type { TableStore } from "./table-store.js";

export interface ServicesModules {
  /** What the maps held at the start. */
  readonly adopted: Loaded;
  /** Its lines of the adopted tables are taken. */
  readonly tables: TableStore;
  /** Rows of nodes, which are written earlier in the same apply. */
  readonly nodes: NodeRows;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Read when a frontend is planned, not when it is touched. */
  readonly desired: Pick<DesiredState, "get" | "has">;
  /** Id of the local cluster: rows are reserved for its backends. */
  readonly localCluster?: number | undefined;
}

/** What changed of the desired frontends. */
export interface FrontendChanges {
  /** The desired state of these may have changed. */
  readonly frontends?: Iterable<FrontendName>;
  /** True: the next apply removes every existing frontend that is not desired now. */
  readonly sweepFrontends?: boolean;
}

export interface ServicesPart extends Part<FrontendChanges> {
  /** Clusters that had a backend at the start. */
  readonly adoptedClusters: ReadonlySet<number>;
  /** Names of rows that could not be written, of addresses that another proxy serves. */
  readonly missingPassRows: ReadonlySet<FrontendName>;
}

/** Frontends of one turn. */
const CHUNK = 64;

/** Adopts the rows of the maps. */
export function* createServicesPart(port: DatapathPort, modules: ServicesModules): Slices<ServicesPart> {
  const { adopted, tables, nodes, now, desired, localCluster } = modules;
  const status = createStatusTable();
  const backends = yield* createBackendStore(port.backends, nodes.indexOf, localCluster);
  yield* inSlices(adopted.tables, CHUNK, ({ ids }) => {
    for (const id of ids) backends.adoptUse(id);
  });
  const services = createServiceStore(port.services, adopted);
  const tracker = createDeltaTracker();
  yield* inSlices(adopted.frontends, CHUNK, ([name, value]) => {
    tracker.setActual(name, value);
    tracker.setDesired(name, value);
  });
  const planner = createPlanner({ backends, tables, services, frontends: tracker, frontendMap: port.frontends });
  const planFrontends = createFrontendPlanning({ planner, tables, backends, desired, status, now, own: localCluster });
  const dirty = new Set<FrontendName>();
  const missingPassRows = new Set<FrontendName>();
  /** The frontends of the apply under way, the number of those that are planned, and those of the present slice. */
  let batch: readonly FrontendName[] = [];
  let done = 0;
  let planned: PlannedFrontends = new Map();

  async function begin(): Promise<void> {
    await inTurns(backends.updateNodes(nodes.moved));
    backends.clearNodes(nodes.leaving);
    for (const name of status.due(now())) dirty.add(name);
    batch = [...dirty];
    dirty.clear();
  }

  function report(failed: ReadonlyMap<FrontendName, Error>): void {
    const at = now();
    for (const [name, full] of planned) {
      if (tracker.toInsert.has(name) && desired.get(name)?.kind === "left") missingPassRows.add(name);
      else missingPassRows.delete(name);
      const error = failed.get(name);
      if (error !== undefined) status.failed(name, error, at);
      else if (full === undefined && tracker.desired.has(name)) status.done(name, at);
    }
  }

  return {
    status,
    adoptedClusters: backends.adoptedClusters,
    missingPassRows,
    touch({ frontends = [], sweepFrontends = false }) {
      const at = now();
      for (const name of frontends) {
        dirty.add(name);
        status.pending(name, at);
      }
      if (sweepFrontends) for (const name of tracker.actual.keys()) if (!desired.has(name)) dirty.add(name);
    },
    async plan() {
      if (done === 0) await begin();
      planned = await planFrontends(batch.slice(done, done + CHUNK));
      done += CHUNK;
      if (done >= batch.length) done = 0;
      return done > 0;
    },
    async make() {
      backends.write();
      tables.write();
      services.write();
      report(await insertFrontends(port.frontends, tracker, [...planned.keys()]));
    },
    async break() {
      const undesired = batch.filter((name) => !tracker.desired.has(name) && !desired.has(name));
      const failed = await removeFrontends(port.frontends, tracker, undesired);
      for (const name of undesired) {
        const error = failed.get(name);
        if (error !== undefined) {
          status.failed(name, error, now());
          continue;
        }
        status.forget(name);
        planner.retire(name);
      }
    },
    takeGarbage() {
      if (!planner.garbage && !backends.garbage) return undefined;
      const dead = planner.takeDead();
      const cold = backends.cooling;
      return {
        free() {
          planner.free(dead);
          backends.recycle(cold);
          backends.retire();
        },
      };
    },
    fill: () => [
      { map: port.frontends.name, used: tracker.actual.size, capacity: port.frontends.maxEntries },
      { map: port.services.name, used: services.used, capacity: services.capacity },
      { map: port.backends.name, used: backends.used, capacity: backends.capacity },
      { map: MAP_NAMES.tables, used: tables.used, capacity: tables.capacity },
    ],
  };
}
