/**
 * Repeats a task for each of many objects until it has succeeded since the object was last asked for.
 *
 * An object that fails is retried after a back-off of its own, and neither stops nor delays the others; one whose call gets no
 * answer occupies one of `atOnce` slots until its deadline. Several failures in a row, of whatever objects, mean a cause that
 * objects share: retries then wait for a common back-off, while objects that have not failed go on. One retry at a time goes before
 * objects that were asked for, so that neither those nor the retries can hold up the others for ever.
 */
import type { Clock } from "@isthmus/model";
import { type Backoff, createBackoff, type Logger } from "@isthmus/observe";

export interface PeriodicTasks<Key> {
  /** Something about the object changed: run its task soon. One that failed waits for its time. */
  trigger(key: Key): void;
  run(signal: AbortSignal): Promise<void>;
}

export interface PeriodicTasksOptions<Key> {
  readonly name: string;
  /** Must end by a deadline. Returns after how many milliseconds it is to be run again; undefined: when asked for. */
  readonly task: (key: Key, signal: AbortSignal) => Promise<number | undefined>;
  readonly atOnce: number;
  /** Between two attempts, over all objects. */
  readonly spacingMs?: number;
}

interface Later {
  /** By the monotonic clock. */
  readonly at: number;
  /** Undefined: the task itself asked to be run again. */
  readonly failure?: { readonly problem: string; readonly backoff: Backoff };
}

const BACKOFF = { minMs: 200, maxMs: 10_000 };
/** This many failures in a row have a common cause: a permission is missing, or the API is down. */
const IN_A_ROW = 5;
/** A timer of Node waits 24 days at most. */
const LONGEST_MS = 1 << 30;

export function createPeriodicTasks<Key>(
  options: PeriodicTasksOptions<Key>,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): PeriodicTasks<Key> {
  const { atOnce, spacingMs = 0 } = options;
  const asked = new Set<Key>();
  const later = new Map<Key, Later>();
  const running = new Set<Key>();
  /** Those of `running` that failed before. */
  const retrying = new Set<Key>();
  const waiting = new Set<() => void>();
  const common = createBackoff(BACKOFF);
  let inARow = 0;
  let retriesAt = Number.NEGATIVE_INFINITY;

  /** The object whose turn it is, or for how long there is none. */
  function next(): { readonly key: Key } | { readonly waitMs: number } {
    const first = firstAsked();
    const now = clock.now();
    let waitMs = LONGEST_MS;
    for (const [key, { at, failure }] of later) {
      if (running.has(key)) continue;
      if (first !== undefined && (failure === undefined || retrying.size > 0)) continue;
      const due = failure === undefined ? at : Math.max(at, retriesAt);
      if (due <= now) return { key };
      waitMs = Math.min(waitMs, due - now);
    }
    return first ?? { waitMs };
  }

  function firstAsked(): { readonly key: Key } | undefined {
    for (const key of asked) if (!running.has(key) && later.get(key)?.failure === undefined) return { key };
    return undefined;
  }

  async function attempt(key: Key, signal: AbortSignal): Promise<void> {
    const before = later.get(key)?.failure;
    asked.delete(key);
    later.delete(key);
    running.add(key);
    if (before !== undefined) retrying.add(key);
    try {
      const againMs = await options.task(key, signal);
      if (againMs !== undefined) later.set(key, { at: clock.now() + againMs });
      inARow = 0;
      retriesAt = Number.NEGATIVE_INFINITY;
      common.reset();
    } catch (error) {
      if (!signal.aborted) failed(key, before, error);
    }
    running.delete(key);
    retrying.delete(key);
    wake();
  }

  function failed(key: Key, before: Later["failure"], error: unknown): void {
    const problem = error instanceof Error ? error.message : String(error);
    if (problem !== before?.problem) log.warn("Task failed, retrying", { task: options.name, object: key, error });
    const backoff = before?.backoff ?? createBackoff(BACKOFF);
    later.set(key, { at: clock.now() + backoff.nextMs(), failure: { problem, backoff } });
    if (++inARow < IN_A_ROW) return;
    inARow = 0;
    retriesAt = clock.now() + common.nextMs();
  }

  function wake(): void {
    for (const stop of waiting) stop();
  }

  async function pause(ms: number, signal: AbortSignal): Promise<void> {
    const controller = new AbortController();
    const stop = () => controller.abort();
    waiting.add(stop);
    signal.addEventListener("abort", stop, { once: true });
    await clock.delay(ms, controller.signal).catch(() => undefined);
    signal.removeEventListener("abort", stop);
    waiting.delete(stop);
  }

  async function work(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const turn = next();
      if ("waitMs" in turn) await pause(turn.waitMs, signal);
      else {
        await attempt(turn.key, signal);
        if (spacingMs > 0) await clock.delay(spacingMs * atOnce, signal).catch(() => undefined);
      }
    }
  }

  return {
    trigger(key) {
      asked.add(key);
      wake();
    },
    async run(signal) {
      await Promise.all(Array.from({ length: atOnce }, () => work(signal)));
    },
  };
}
