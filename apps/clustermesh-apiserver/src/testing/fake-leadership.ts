/** For tests: a Lease that the test acquires and releases. */
import type { Leadership } from "../leader/leadership.js";

export interface FakeLeadership extends Leadership {
  set(holds: boolean): void;
}

export function createFakeLeadership(initial = true): FakeLeadership {
  const listeners = new Set<() => void>();
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
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    run: async () => undefined,
    set(now) {
      holds = now;
      for (const listener of [...listeners]) listener();
    },
  };
}
