/**
 * Plans frontends one by one: in full if there is room, else as much of each as finds room (narrow.ts).
 *
 * In: names whose desired state changed. Out: the planned ones, each with the error when only a part found room. A frontend that
 * could not be planned stays as it is in the kernel; `status` retries both kinds when there is room.
 */
import type { MergedBackend } from "@isthmus/clustermesh";
import { MeshError } from "@isthmus/model";
import { isMapFull, type StatusTable } from "@isthmus/reconcile";
import type { DesiredFrontend, DesiredState } from "../../desired/services/desired-state.js";
import type { FrontendName } from "../../desired/services/frontends.js";
import type { BackendStore } from "./backend-store.js";
import { portsAndRejects } from "./frontend-writer.js";
import { smallerVersions } from "./narrow.js";
import type { Planner } from "./planner.js";
import type { TableStore } from "./table-store.js";

export interface FrontendPlanningModules {
  /** Plans one frontend at a time. */
  readonly planner: Planner;
  /** Gets one more segment when a table finds no room. */
  readonly tables: TableStore;
  /** Asked which backends have rows when a Service does not fit. */
  readonly backends: BackendStore;
  /** Read when a frontend is planned; undefined = it must have no row. */
  readonly desired: Pick<DesiredState, "get">;
  /** Gets the error of each frontend that found no room for all of it. */
  readonly status: StatusTable;
  /** Monotonic milliseconds, for `status`. */
  readonly now: () => number;
  /** Id of the local cluster. */
  readonly own: number | undefined;
}

export type PlannedFrontends = ReadonlyMap<FrontendName, Error | undefined>;

/** Returns a function that plans these frontends, rows of ports first. It rejects only for what is no `MeshError`. */
export function createFrontendPlanning(
  modules: FrontendPlanningModules,
): (names: readonly FrontendName[]) => Promise<PlannedFrontends> {
  const { planner, tables, backends, desired, status, now } = modules;
  const isLocal = ({ clusterId }: MergedBackend): boolean => clusterId === modules.own;

  /** Plans the frontend; undefined when it found room. */
  async function plan(name: FrontendName, wanted: DesiredFrontend | undefined): Promise<MeshError | undefined> {
    try {
      for (;;) {
        const slots = planner.plan(name, wanted);
        if (slots === undefined) return undefined;
        await tables.grow(slots);
      }
    } catch (thrown) {
      if (thrown instanceof MeshError) return thrown;
      throw thrown;
    }
  }

  async function planLess(name: FrontendName, wanted: DesiredFrontend | undefined): Promise<boolean> {
    if (wanted?.kind !== "service") return false;
    for (const less of smallerVersions(wanted, isLocal, backends.has)) {
      if ((await plan(name, less)) === undefined) return true;
    }
    return false;
  }

  return async (names) => {
    const planned = new Map<FrontendName, Error | undefined>();
    const { ports, rejects } = portsAndRejects(names);
    for (const name of [...ports, ...rejects]) {
      const wanted = desired.get(name);
      const error = await plan(name, wanted);
      if (error !== undefined) status.failed(name, error, now());
      if (error === undefined || (isMapFull(error) && (await planLess(name, wanted)))) planned.set(name, error);
    }
    return planned;
  };
}
