/** Events and conditions on Services for their users. */
import type { EventRecorder, KubeClient } from "@isthmus/kube";
import type { Clock } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import type { LocalServices } from "../cluster/services/service-feed.js";
import type { Leadership } from "../leader/leadership.js";
import type { StreamSources } from "../ports/stream-source.js";
import { createConditionWriter } from "./condition-writer.js";
import { wantedConditions } from "./service-conditions.js";
import { createServiceWatch } from "./service-watch.js";

export interface ServiceStatusModules {
  readonly sources: StreamSources;
  readonly services: LocalServices;
  readonly events: EventRecorder;
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly leadership: Leadership;
}

export function createServiceStatus(modules: ServiceStatusModules): { run(signal: AbortSignal): Promise<void> } {
  const { sources, services } = modules;
  const writer = createConditionWriter({
    ...modules,
    wanted: (known) => wantedConditions(known, sources).verdicts,
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
