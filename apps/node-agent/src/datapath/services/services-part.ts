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
import { createDeltaTracker, createStatusTable, removeExtra } from "@isthmus/reconcile";
import { inSlices, inTurns, nextTurn, type Slices, turnEnds } from "@isthmus/runtime";
import { type Check, checked, type Part } from "../../apply/part.js";
import type { DesiredState } from "../../desired/services/desired-state.js";
import type { FrontendName } from "../../desired/services/frontends.js";
import type { NodeRows } from "../nodes/nodes-part.js";
import { createBackendStore } from "./backend-store.js";
import { insertFrontends, portsAndRejects } from "./frontend-writer.js";
import type { Loaded } from "./load.js";
import { createFrontendPlanning } from "./plan-frontends.js";
import { createPlanner } from "./planner.js";
import { createServiceStore, type ServiceStore } from "./service-store.js";
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
  /** True: the next apply removes every existing frontend that is not desired then. */
  readonly sweepFrontends?: boolean;
}

export interface ServicesPart extends Part<FrontendChanges>, Pick<ServiceStore, "serviceOf"> {
  /** Clusters that had a backend at the start. */
  readonly adoptedClusters: ReadonlySet<number>;
  /** Names of rows that could not be written, of addresses that another proxy serves. */
  readonly missingPassRows: ReadonlySet<FrontendName>;
}

/** Frontends between two looks at the clock. */
const CHUNK = 64;

/** Adopts the rows of the maps. */
export function* createServicesPart(port: DatapathPort, modules: ServicesModules): Slices<ServicesPart> {
  const { adopted, tables, nodes, now, desired, localCluster } = modules;
  const status = createStatusTable();
  const backends = yield* createBackendStore(port.backends, nodes.indexOf, localCluster);
  yield* inSlices(adopted.tables, CHUNK, ({ ids }) => {
    for (const id of ids) backends.adoptUse(id);
  });
  const services = yield* createServiceStore(port.services, adopted);
  const tracker = createDeltaTracker();
  yield* inSlices(adopted.frontends, CHUNK, ([name, value]) => {
    tracker.setActual(name, value);
    tracker.setDesired(name, value);
  });
  const planner = createPlanner({ backends, tables, services, frontends: tracker, frontendMap: port.frontends });
  const planFrontends = createFrontendPlanning({ planner, tables, backends, desired, status, now, own: localCluster });
  const dirty = new Set<FrontendName>();
  /** The next apply makes every existing frontend dirty that is not desired. */
  let sweep = false;
  const missingPassRows = new Set<FrontendName>();
  /** The frontends of the apply under way, the number of those that are planned, and those of the present slice. */
  let batch: readonly FrontendName[] = [];
  let done = 0;
  const planned = new Map<FrontendName, Error | undefined>();

  async function begin(): Promise<void> {
    await inTurns(backends.updateNodes(nodes.moved));
    await inTurns(backends.clearNodes(nodes.leaving));
    for (const name of status.due(now())) dirty.add(name);
    if (sweep) {
      sweep = false;
      await inTurns(inSlices(tracker.actual.keys(), CHUNK, (name) => void (desired.has(name) || dirty.add(name))));
    }
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

  /** Removes frontends that are not desired, some in each turn. */
  async function removeEach(names: readonly FrontendName[], check: Check): Promise<void> {
    for (let first = 0; first < names.length; first += CHUNK) {
      if (first > 0) {
        await nextTurn();
        check();
      }
      const chunk = names.slice(first, first + CHUNK);
      const failed = await removeExtra(port.frontends, tracker, chunk);
      for (const name of chunk) {
        const error = failed.get(name);
        if (error === undefined) {
          status.forget(name);
          planner.retire(name);
        } else status.failed(name, error, now());
      }
    }
  }

  return {
    status,
    adoptedClusters: backends.adoptedClusters,
    missingPassRows,
    serviceOf: services.serviceOf,
    touch({ frontends = [], sweepFrontends = false }) {
      const at = now();
      for (const name of frontends) {
        dirty.add(name);
        status.pending(name, at);
      }
      sweep ||= sweepFrontends;
    },
    async plan() {
      if (done === 0) await begin();
      planned.clear();
      const ends = turnEnds();
      do {
        for (const [name, full] of await planFrontends(batch.slice(done, done + CHUNK))) planned.set(name, full);
        done += CHUNK;
      } while (done < batch.length && performance.now() < ends);
      if (done >= batch.length) done = 0;
      return done > 0;
    },
    async make(check) {
      await inTurns(checked(backends.write(), check));
      tables.write();
      services.write();
      report(await insertFrontends(port.frontends, tracker, [...planned.keys()]));
    },
    async break(check) {
      const undesired: FrontendName[] = [];
      await inTurns(
        inSlices(batch, CHUNK, (name) => {
          if (!tracker.desired.has(name) && !desired.has(name)) undesired.push(name);
        }),
      );
      const { ports, rejects } = portsAndRejects(undesired);
      await removeEach(ports, check);
      await removeEach(rejects, check);
    },
    takeGarbage(most) {
      if (!planner.garbage && !backends.garbage) return undefined;
      const dead = planner.takeDead(most);
      const cold = backends.cooling.slice(0, most);
      return {
        free() {
          planner.free(dead);
          backends.recycle(cold);
          backends.retire(most);
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
