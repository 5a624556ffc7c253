/**
 * The sources whose state is still to be sent to one agent. The state is read when it is sent, so a slow agent gets the latest.
 *
 * One message takes all of them for an agent that knows the message, one each for an agent of the version before.
 */
import type { SourceState } from "@isthmus/proto";
import { encodeState, encodeStates, removedState } from "./messages.js";

/** In Hello: the agent takes `SourceStates`. */
export const SOURCE_STATES = "source-states";

export interface PendingStates<Slot> {
  readonly empty: boolean;
  add(slot: Slot): void;
  /** The source was removed from this server: its removal is sent instead of its state. */
  remove(slot: Slot | undefined, clusterId: number, cluster: string): void;
  /** The next message; undefined when there is none. A removal comes before the state of a source that comes again. */
  next(): Buffer | undefined;
}

export function createPendingStates<Slot>(batched: boolean, stateOf: (slot: Slot) => SourceState): PendingStates<Slot> {
  const slots = new Set<Slot>();
  const removed = new Map<number, string>();

  function take(most: number): readonly SourceState[] {
    const taken: SourceState[] = [];
    for (const [clusterId, cluster] of removed) {
      if (taken.length >= most) return taken;
      removed.delete(clusterId);
      taken.push(removedState(clusterId, cluster));
    }
    for (const slot of slots) {
      if (taken.length >= most) return taken;
      slots.delete(slot);
      taken.push(stateOf(slot));
    }
    return taken;
  }

  return {
    get empty() {
      return slots.size === 0 && removed.size === 0;
    },
    add: (slot) => void slots.add(slot),
    remove(slot, clusterId, cluster) {
      if (slot !== undefined) slots.delete(slot);
      removed.set(clusterId, cluster);
    },
    next() {
      const states = take(batched ? Number.POSITIVE_INFINITY : 1);
      const [first] = states;
      if (first === undefined) return undefined;
      return batched ? encodeStates(states) : encodeState(first);
    },
  };
}
