/**
 * News of a stream whose store is not known yet, kept within bounds.
 *
 * Beyond the bounds nothing is kept: the watch is given up, and once the store is known everything is read again.
 */
import type { WatchedChange } from "./events.js";

export interface PendingLimits {
  readonly events: number;
  /** Of keys and values. */
  readonly bytes: number;
}

/** A check takes one call of the store; what comes meanwhile is seldom more than one response of the watch. */
export const PENDING_LIMITS: PendingLimits = { events: 20_000, bytes: 16 << 20 };

export interface PendingEvents {
  readonly events: readonly WatchedChange[];
  /** Of the last event. */
  readonly revision: bigint;
  /** The bounds were met: what is held is not all. */
  readonly dropped: boolean;
  add(events: readonly WatchedChange[], revision: bigint): void;
}

export function createPendingEvents(limits: PendingLimits = PENDING_LIMITS): PendingEvents {
  let held: WatchedChange[] = [];
  let [bytes, revision, dropped] = [0, 0n, false];
  return {
    get events() {
      return held;
    },
    get revision() {
      return revision;
    },
    get dropped() {
      return dropped;
    },
    add(events, at) {
      if (dropped) return;
      for (const event of events) {
        held.push(event);
        bytes += event.key.length + event.value.length;
      }
      revision = at;
      if (held.length <= limits.events && bytes <= limits.bytes) return;
      dropped = true;
      held = [];
    },
  };
}
