/**
 * A set of listeners: `subscribe` adds one and returns the function that removes it, `emit` calls them in that order.
 *
 * A listener that is removed during an `emit` is not called any more, one that is added is first called by the next one.
 * A listener that throws does not keep the others from being called: `emit` throws its error after that.
 */
export interface Emitter<T> {
  /** Each call is a subscription of its own, also for a listener that is subscribed already. Needs no `this`. */
  readonly subscribe: (listener: (value: T) => void) => () => void;
  /** Throws what a listener threw; an AggregateError when several did. */
  readonly emit: (value: T) => void;
}

/** `T` is what listeners receive; void unless given. */
export function createEmitter<T = void>(): Emitter<T> {
  const subscriptions = new Set<{ readonly listener: (value: T) => void }>();
  return {
    subscribe(listener) {
      const subscription = { listener };
      subscriptions.add(subscription);
      return () => void subscriptions.delete(subscription);
    },
    emit(value) {
      const errors: unknown[] = [];
      for (const subscription of [...subscriptions]) {
        if (!subscriptions.has(subscription)) continue;
        try {
          subscription.listener(value);
        } catch (thrown) {
          errors.push(thrown);
        }
      }
      if (errors.length > 1) throw new AggregateError(errors, `${errors.length} listeners failed`);
      if (errors.length > 0) throw errors[0];
    },
  };
}
