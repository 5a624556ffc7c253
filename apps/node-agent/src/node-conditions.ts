/** What of this node is not as it should be: told to the apiserver when it changes, and with every new stream. */
import type { NodeCondition } from "@isthmus/proto";

export interface NodeConditions {
  /** `message` undefined: all is well with this. */
  set(type: string, message: string | undefined): void;
  /** A stream was opened. */
  connected(): void;
  /** All that hold now. */
  list(): NodeCondition[];
}

/** `tell`: sends what `list` has, if a stream is open. */
export function createNodeConditions(tell: () => void): NodeConditions {
  const messages = new Map<string, string>();
  return {
    set(type, message) {
      if (messages.get(type) === message) return;
      if (message === undefined) messages.delete(type);
      else messages.set(type, message);
      tell();
    },
    connected() {
      if (messages.size > 0) tell();
    },
    list: () => [...messages].map(([type, message]) => ({ type, message })),
  };
}
