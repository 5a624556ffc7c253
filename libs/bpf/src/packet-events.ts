/**
 * The events of the programs on devices (bpf/lib/event.h): which kinds they write, and reading them.
 *
 * The setting is in the kernel and outlives the process, as programs do: a reader that ends asks for nothing.
 */
import { createMappedArray } from "./array-map.js";
import { EventSettingsRow, MAP_NAMES, Metric } from "./gen/index.js";
import { readMetric } from "./metrics.js";
import type { Fd, RingBatch } from "./native.js";
import { type RingEvents, readRingEvents } from "./ring-events.js";

/** Events that were not written, since the maps were made. */
export interface EventCounts {
  /** Endpoints had as many of a kind and a reason as they may have. */
  readonly limited: number;
  /** The ring buffer was full. */
  readonly lost: number;
}

export interface PacketEvents {
  /** From now on programs write these kinds, of `EventKind`, and no others. */
  want(kinds: readonly number[]): void;
  /** Reads events from now on; `maxQueuedBytes` as in `readRingEvents`. The map has one reader at a time. */
  read(maxQueuedBytes: number, onBatch: (batch: RingBatch) => void): RingEvents;
  /** Events that programs did not write. */
  counts(): EventCounts;
}

/** `mapOf`: the open map of a name. */
export function openPacketEvents(mapOf: (name: string) => Fd): PacketEvents & { close(): void } {
  const settings = createMappedArray(MAP_NAMES.eventSettings, mapOf(MAP_NAMES.eventSettings));
  return {
    want(kinds) {
      const bits = kinds.reduce((sum, kind) => sum | (1 << kind), 0);
      settings.storeWord32(0, EventSettingsRow.offsets.kinds, bits);
    },
    read: (maxQueuedBytes, onBatch) => readRingEvents(mapOf(MAP_NAMES.events), maxQueuedBytes, onBatch),
    counts() {
      const metrics = mapOf(MAP_NAMES.metrics);
      return { limited: readMetric(metrics, Metric.EventLimited), lost: readMetric(metrics, Metric.EventLost) };
    },
    close: settings.close,
  };
}
