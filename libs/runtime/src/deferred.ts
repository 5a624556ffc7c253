/** A value that is not known at first; `get` waits a limited time for it. */
import { type Clock, systemClock } from "@isthmus/model";
import { createEmitter } from "./emitter.js";
import { waitWithin } from "./wait-for.js";

export interface Deferred<T> {
  /** The value that was set last; undefined before the first. */
  readonly current: T | undefined;
  /** Sets the value, or another one. */
  set(value: T): void;
  /** Resolves as soon as there is a value, or with undefined after `waitMs`. */
  get(waitMs: number): Promise<T | undefined>;
}

/** Without a value: `get` waits. */
export function createDeferred<T extends object>(clock: Clock = systemClock): Deferred<T> {
  const changes = createEmitter();
  let current: T | undefined;
  return {
    get current() {
      return current;
    },
    set(value) {
      current = value;
      changes.emit();
    },
    get: (waitMs) => waitWithin(() => current, { timeoutMs: waitMs, changes: changes.subscribe, clock }),
  };
}
