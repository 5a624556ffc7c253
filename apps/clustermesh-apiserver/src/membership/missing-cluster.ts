/**
 * Reports that there is no MeshCluster, without which no identity gets a number: by Events on the ConfigMap mesh-config, since there is
 * no object of the cluster to put them or a condition on, and once in the log.
 */
import { CONFIG_MAPS, type EventRecorder } from "@isthmus/kube";
import type { Clock } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { createPeriodicTask, type PeriodicTask } from "../process/periodic-task.js";
import { CONFIG_NAME, type ConfigSource } from "../settings/config-source.js";
import type { ClusterObject } from "./cluster-object.js";

export interface MissingClusterModules {
  /** Its `missing` is the reason. */
  readonly object: Pick<ClusterObject, "missing">;
  /** Called every 5 s while there is no MeshCluster. */
  readonly events: EventRecorder;
  /** Identifies the ConfigMap. */
  readonly settings: Pick<ConfigSource, "uid">;
  /** For how long there was none. */
  readonly clock: Clock;
  /** Gets each new reason, and the end. */
  readonly log: Logger;
}

/** The recorder counts a repeated Event and writes it rarely. */
const EVERY_MS = 5_000;
/** At a start, and after someone deleted the object, there is none for a moment. */
const SETTLED_MS = 10_000;

/** `cluster` is the name of the object, `namespace` that of the ConfigMap. The caller runs the task. */
export function createMissingCluster(cluster: string, namespace: string, modules: MissingClusterModules): PeriodicTask {
  const { object, events, settings, clock, log } = modules;
  let since: number | undefined;
  let logged: string | undefined;

  function report(note: string): void {
    if (logged !== note) log.warn("There is no MeshCluster", { cluster, problem: note });
    logged = note;
    const { uid } = settings;
    if (uid === undefined) return;
    const event = { type: "Warning", reason: "NoMeshCluster", action: "Create", note } as const;
    events.report({ ...event, resource: CONFIG_MAPS, namespace, name: CONFIG_NAME, uid });
  }

  async function look(): Promise<void> {
    const { missing } = object;
    if (missing === undefined) {
      if (logged !== undefined) log.info("There is a MeshCluster again", { cluster });
      since = logged = undefined;
      return;
    }
    since ??= clock.now();
    if (clock.now() - since < SETTLED_MS) return;
    report(`MeshCluster "${cluster}" does not exist, so pods with new labels get no identity: ${missing}`);
  }

  return createPeriodicTask({ name: "Events of a missing MeshCluster", everyMs: EVERY_MS, task: look }, modules);
}
