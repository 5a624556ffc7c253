/**
 * Notifies listeners of changes in the node's network namespace.
 *
 * The kernel is not polled. After each read the socket pauses, for longer while other programs keep undoing repairs, and never
 * for more than a second: a storm of changes costs few reads, and notifications that do not fit into the socket meanwhile are
 * one event, `lost`.
 */
import type { RouteEvent, RouteEventSocket } from "@isthmus/bpf";
import type { Clock } from "@isthmus/model";
import { createBackoff } from "@isthmus/runtime";

/** Returns true when it acts on one of the events. */
export type NetworkListener = (events: readonly RouteEvent[]) => boolean;

export interface NetworkChanges {
  /** Adds a listener for as long as the socket is open. */
  subscribe(listener: NetworkListener): void;
}

export interface NetworkChangesModules {
  /** Read and closed here only. */
  readonly socket: RouteEventSocket;
  /** Times the pauses. */
  readonly clock: Clock;
  /** Closes the socket. */
  readonly signal: AbortSignal;
}

const REST_MS = 100;
const LONGEST_REST_MS = 1000;
/** After this time without a change that a listener acted on, pauses are short again. */
const QUIET_MS = 10_000;

/** Listens at once; events that arrive before the first `subscribe` are dropped. */
export function followNetwork({ socket, clock, signal }: NetworkChangesModules): NetworkChanges {
  // Not an emitter: the answers of the listeners decide how long the socket pauses.
  const listeners: NetworkListener[] = [];
  const rests = createBackoff({ minMs: 2 * REST_MS, maxMs: LONGEST_REST_MS });
  let actedAt = clock.now();

  function restFor(acted: boolean): number {
    if (!acted) return REST_MS;
    if (clock.now() - actedAt > QUIET_MS) rests.reset();
    actedAt = clock.now();
    return rests.nextMs();
  }

  socket.listen(() => {
    const events = socket.receive();
    const acted = listeners.map((listener) => listener(events)).includes(true);
    socket.rest(true);
    clock.delay(restFor(acted), signal).then(
      () => socket.rest(false),
      () => undefined,
    );
  });
  signal.addEventListener("abort", () => socket.close(), { once: true });
  return { subscribe: (listener) => void listeners.push(listener) };
}
