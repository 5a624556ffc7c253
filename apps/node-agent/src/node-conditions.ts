/** Conditions of this node that need attention, sent to the apiserver when they change and on every new stream. */
import { printable } from "@isthmus/model";
import type { NodeCondition } from "@isthmus/proto";

export interface NodeConditions {
  /** `message` undefined: removes the condition. As much of it is sent as the apiserver shows; it refuses one of more than 1 KiB. */
  set(type: string, message: string | undefined): void;
  /** A stream was opened. */
  connected(): void;
  /** The current conditions. */
  list(): NodeCondition[];
}

/** `report`: sends the conditions of `list`, if a stream is open. */
export function createNodeConditions(report: () => void): NodeConditions {
  const messages = new Map<string, string>();
  return {
    set(type, text) {
      const message = text && printable(text);
      if (messages.get(type) === message) return;
      if (message === undefined) messages.delete(type);
      else messages.set(type, message);
      report();
    },
    connected() {
      if (messages.size > 0) report();
    },
    list: () => [...messages].map(([type, message]) => ({ type, message })),
  };
}
