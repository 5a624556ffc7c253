/**
 * News of a stream whose store is not known yet, kept within bounds.
 *
 * Beyond the bounds nothing is kept: the watch is given up, and once the store is known everything is read again.
 */
import type { Seen } from "./events.js";

export interface HeldLimits {
  readonly events: number;
  /** Of keys and values. */
  readonly bytes: number;
}

/** A check takes one call of the store; what comes meanwhile is seldom more than one response of the watch. */
export const HELD_LIMITS: HeldLimits = { events: 20_000, bytes: 16 << 20 };

export interface Held {
  readonly events: readonly Seen[];
  /** Of the last event. */
  readonly revision: bigint;
  /** The bounds were met: what is held is not all. */
  readonly dropped: boolean;
  add(events: readonly Seen[], revision: bigint): void;
}

export function createHeld(limits: HeldLimits = HELD_LIMITS): Held {
  let held: Seen[] = [];
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
