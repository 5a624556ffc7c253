/** Events and conditions on Services for their users. */
import { type EventRecorder, type KubeClient, SERVICES } from "@isthmus/kube";
import type { Clock, ServiceName } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import type { LocalServices } from "../cluster/services/service-feed.js";
import type { Leadership } from "../leader/leadership.js";
import type { StreamSources } from "../ports/stream-source.js";
import { createConditionWriter } from "./condition-writer.js";
import { wantedConditions } from "./service-conditions.js";
import { createServiceWatch } from "./service-watch.js";

export interface ServiceStatusModules {
  /** All clusters whose Services are compared, the local one first. */
  readonly sources: StreamSources;
  /** The local Services, with their notes and conditions. */
  readonly services: LocalServices;
  /** Gets an Event for each new mismatch of ports. */
  readonly events: EventRecorder;
  /** Writes the conditions. */
  readonly client: KubeClient;
  /** Its wall clock dates the transitions of conditions; its monotonic time paces checks and writes. */
  readonly clock: Clock;
  /** Gets writes that failed. */
  readonly log: Logger;
  /** Conditions are written only with the Lease. */
  readonly leadership: Leadership;
}

/** Nothing is checked or written before `run`, which resolves when aborted. */
export function createServiceStatus(modules: ServiceStatusModules): { run(signal: AbortSignal): Promise<void> } {
  const { sources, services } = modules;
  const writer = createConditionWriter<ServiceName>({
    ...modules,
    name: "Service conditions",
    object(service) {
      const facts = services.get(service)?.facts;
      if (facts === undefined) return undefined;
      const [namespace = "", name = ""] = service.split("/");
      const { uid, generation, conditions } = facts;
      return { resource: SERVICES, namespace, name, uid, generation, conditions };
    },
    wanted(service) {
      const known = services.get(service);
      return known === undefined ? [] : wantedConditions(known, sources).verdicts;
    },
  });
  const watch = createServiceWatch({
    ...modules,
    lookAtConditions(service) {
      writer.check(service);
      const known = services.get(service);
      if (known === undefined || known.facts.conditions.length === 0) return false;
      return wantedConditions(known, sources).waiting;
    },
  });
  return {
    async run(signal) {
      await Promise.all([watch.run(signal), writer.run(signal)]);
    },
  };
}
