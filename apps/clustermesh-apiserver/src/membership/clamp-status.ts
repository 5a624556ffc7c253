/**
 * Clamps a status to what protobuf can carry and a person can read: some of its numbers come from clocks that may be wrong by
 * years, some of its texts and lists from other clusters and nodes.
 */
import { printable, toSint32, toUint32 } from "@isthmus/model";
import type { StatusResponse } from "@isthmus/proto";

const TEXT_LENGTH = 1_024;
/** More than the clusters of a mesh, and than the nodes that one apiserver serves. */
const MAX_ITEMS = 16_384;
const MAX_BYTES = 64;

/** Returns a copy: texts of at most 1,024 characters, lists of 16,384 items, byte strings of 64 bytes. */
export function clampStatus(status: StatusResponse): StatusResponse {
  return clamp(inRange(status)) as StatusResponse;
}

/** Bounds texts, byte strings and lists, and makes texts printable. Ids and sums are shorter than MAX_BYTES. */
function clamp(value: unknown): unknown {
  if (typeof value === "string") return printable(value, TEXT_LENGTH);
  if (value instanceof Uint8Array) return value.length > MAX_BYTES ? value.subarray(0, MAX_BYTES) : value;
  if (Array.isArray(value)) return value.slice(0, MAX_ITEMS).map(clamp);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, clamp(field)]));
}

function inRange(status: StatusResponse): StatusResponse {
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
      silentMs: toUint32(agent.silentMs),
      sources: agent.sources.map((source) => ({
        ...source,
        lagMs: toUint32(source.lagMs),
        lastPropagationMs: toUint32(source.lastPropagationMs),
      })),
    })),
  };
}
