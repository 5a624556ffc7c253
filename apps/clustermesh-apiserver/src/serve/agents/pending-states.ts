/**
 * The sources whose state must still be sent to one agent. A state is read when it is sent, so a slow agent gets the latest.
 *
 * An agent that supports `SourceStates` gets all states in one message, an agent of the previous version one message each.
 */
import type { SourceState } from "@isthmus/proto";
import { encodeState, encodeStates, removedState } from "./messages.js";

/** Capability in Hello: the agent supports `SourceStates`. */
export const SOURCE_STATES = "source-states";

export interface PendingStates<Slot> {
  /** True when neither states nor removals are due. */
  readonly empty: boolean;
  /** A slot that is added twice is sent once. */
  add(slot: Slot): void;
  /** The source was removed from this server: its removal is sent instead of its state. */
  remove(slot: Slot | undefined, clusterId: number, cluster: string): void;
  /** The next message; undefined when there is none. Removals come before states, so that a source can be added again. */
  next(): Buffer | undefined;
}

/** `batched`: the agent supports `SourceStates`. `sourceStateMessage` is called when a state is sent. */
export function createPendingStates<Slot>(
  batched: boolean,
  sourceStateMessage: (slot: Slot) => SourceState,
): PendingStates<Slot> {
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
      taken.push(sourceStateMessage(slot));
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
