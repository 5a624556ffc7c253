/** A status whose numbers the wire can carry: some of them come from clocks and clusters that may be wrong by years. */
import { toSint32, toUint32 } from "@isthmus/model";
import type { StatusResponse } from "@isthmus/proto";

export function sayable(status: StatusResponse): StatusResponse {
  const { publisher } = status;
  return {
    ...status,
    kubeAgeMs: toUint32(status.kubeAgeMs),
    publisher: publisher && {
      ...publisher,
      pending: toUint32(publisher.pending),
      beatAgeMs: toUint32(publisher.beatAgeMs),
    },
    sources: status.sources.map((source) => ({
      ...source,
      beatAgeMs: toUint32(source.beatAgeMs),
      kubeAgeMs: toUint32(source.kubeAgeMs),
      repairs: toUint32(source.repairs),
      skewMs: toSint32(source.skewMs),
    })),
    agents: status.agents.map((agent) => ({
      ...agent,
      sources: agent.sources.map((source) => ({
        ...source,
        lagMs: toUint32(source.lagMs),
        lastPropagationMs: toUint32(source.lastPropagationMs),
      })),
    })),
  };
}
