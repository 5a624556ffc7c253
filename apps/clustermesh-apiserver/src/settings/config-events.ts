/** Reports a mesh-config that is not in force by Events on the ConfigMap and on the MeshCluster object. */
import { CONFIG_MAPS, type EventRecorder, MESH_CLUSTERS, type MeshCluster } from "@isthmus/kube";
import type { Clock } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { createPeriodicTask, type PeriodicTask } from "../process/periodic-task.js";
import { CONFIG_NAME, type ConfigSource } from "./config-source.js";

export interface ConfigEventsModules {
  /** Called at each change of the settings and every 5 s, while there is a problem. */
  readonly events: EventRecorder;
  /** Its `problem` is the note of the Events. */
  readonly settings: ConfigSource;
  /** Undefined while it is not known. */
  readonly object: () => MeshCluster | undefined;
  /** Paces the reports. */
  readonly clock: Clock;
  /** Gets failures of the task. */
  readonly log: Logger;
}

/** The recorder counts a repeated Event and writes it rarely. */
const EVERY_MS = 5_000;

/** `namespace` is that of the ConfigMap. The caller runs the task. */
export function createConfigEvents(namespace: string, modules: ConfigEventsModules): PeriodicTask {
  const { events, settings, object } = modules;

  async function report(): Promise<void> {
    const { problem, uid } = settings;
    if (problem === undefined) return;
    const event = { type: "Warning", reason: "InvalidConfig", action: "Validate", note: problem } as const;
    if (uid !== undefined) events.report({ ...event, resource: CONFIG_MAPS, namespace, name: CONFIG_NAME, uid });
    const { metadata } = object() ?? {};
    if (metadata !== undefined)
      events.report({ ...event, resource: MESH_CLUSTERS, name: metadata.name ?? "", uid: metadata.uid ?? "" });
  }

  const task = createPeriodicTask({ name: "Events of mesh-config", everyMs: EVERY_MS, task: report }, modules);
  settings.onChange(() => task.trigger());
  return task;
}
