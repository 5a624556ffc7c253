/**
 * Events of a watch stream whose store is not checked yet, within bounds.
 *
 * Beyond the bounds all events are dropped: the watch is stopped, and the store is listed again once it is checked.
 */
import type { WatchedChange } from "./events.js";

export interface PendingLimits {
  /** Number of changed keys. */
  readonly events: number;
  /** Of keys and values. */
  readonly bytes: number;
}

/** A check is one call to the store; seldom more than one response of the watch arrives meanwhile. */
export const PENDING_LIMITS: PendingLimits = { events: 20_000, bytes: 16 << 20 };

export interface PendingEvents {
  /** In the order of their arrival; empty once they were dropped. */
  readonly events: readonly WatchedChange[];
  /** Revision of the last event. */
  readonly revision: bigint;
  /** True when the events were dropped, as too many or by `drop`. */
  readonly dropped: boolean;
  /** `revision`: that of the last of these events. Nothing is kept once events were dropped. */
  add(events: readonly WatchedChange[], revision: bigint): void;
  /** Drops the events, if there are any. */
  drop(): void;
}

/** Without events; `limits` bound all that is added. */
export function createPendingEvents(limits: PendingLimits = PENDING_LIMITS): PendingEvents {
  let pending: WatchedChange[] = [];
  let [bytes, revision, dropped] = [0, 0n, false];
  return {
    get events() {
      return pending;
    },
    get revision() {
      return revision;
    },
    get dropped() {
      return dropped;
    },
    drop() {
      if (pending.length === 0) return;
      dropped = true;
      pending = [];
    },
    add(events, at) {
      if (dropped) return;
      for (const event of events) {
        pending.push(event);
        bytes += event.key.length + event.value.length;
      }
      revision = at;
      if (pending.length <= limits.events && bytes <= limits.bytes) return;
      dropped = true;
      pending = [];
    },
  };
}
