/** For tests: a Lease that the test acquires and releases. */
import { createEmitter } from "@isthmus/runtime";
import type { Leadership } from "../leader/leadership.js";

export interface FakeLeadership extends Leadership {
  set(holds: boolean): void;
}

export function createFakeLeadership(initial = true): FakeLeadership {
  const changes = createEmitter();
  let holds = initial;
  return {
    get publishes() {
      return holds;
    },
    get writes() {
      return holds;
    },
    get explanation() {
      return holds ? undefined : "Another instance holds the Lease";
    },
    onChange: changes.subscribe,
    run: async () => undefined,
    set(now) {
      holds = now;
      changes.emit();
    },
  };
}
