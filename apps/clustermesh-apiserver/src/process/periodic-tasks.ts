/**
 * Runs a task for each of many objects after the object is triggered, until it succeeds.
 *
 * A failed object is retried after its own back-off, and neither stops nor delays the others; one whose call gets no answer
 * occupies one of `atOnce` slots until its deadline. Several failures in a row, of any objects, mean a common cause: retries then
 * wait for a common back-off, while objects that have not failed continue. At most one retry at a time takes precedence over
 * triggered objects, so that neither retries nor triggered objects can starve the others.
 */
import type { Clock } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { type Backoff, createBackoff, sleep } from "@isthmus/runtime";

export interface PeriodicTasks<Key> {
  /** Runs the object's task soon: something about it changed. An object that failed keeps its back-off. */
  trigger(key: Key): void;
  /** Resolves when aborted, after the tasks that run have ended; failures do not reject it. */
  run(signal: AbortSignal): Promise<void>;
}

export interface PeriodicTasksOptions<Key> {
  /** What the log calls the tasks; the key is named beside it. */
  readonly name: string;
  /** Must end by a deadline. Returns the milliseconds until the next run; undefined: at the next trigger. */
  readonly task: (key: Key, signal: AbortSignal) => Promise<number | undefined>;
  /** The most tasks that run concurrently, never two of the same object. */
  readonly atOnce: number;
  /** Time between two attempts, over all objects. */
  readonly spacingMs?: number;
}

interface Later {
  /** By the monotonic clock. */
  readonly at: number;
  /** Undefined: the task returned the time of this run. */
  readonly failure?: { readonly problem: string; readonly backoff: Backoff };
}

const BACKOFF = { minMs: 200, maxMs: 10_000 };
/** This many failures in a row have a common cause: a permission is missing, or the API is down. */
const IN_A_ROW = 5;
/** A Node.js timer waits at most 24 days. */
const LONGEST_MS = 1 << 30;

/** Nothing runs before `run`; objects that are triggered before wait for it. */
export function createPeriodicTasks<Key>(
  options: PeriodicTasksOptions<Key>,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): PeriodicTasks<Key> {
  const { atOnce, spacingMs = 0 } = options;
  const triggered = new Set<Key>();
  const later = new Map<Key, Later>();
  const running = new Set<Key>();
  /** The objects in `running` whose previous attempt failed. */
  const retrying = new Set<Key>();
  const waiting = new Set<() => void>();
  const common = createBackoff(BACKOFF);
  let inARow = 0;
  let retriesAt = Number.NEGATIVE_INFINITY;

  /** The next object to run, or the time until there is one. */
  function next(): { readonly key: Key } | { readonly waitMs: number } {
    const first = firstTriggered();
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

  function firstTriggered(): { readonly key: Key } | undefined {
    for (const key of triggered) if (!running.has(key) && later.get(key)?.failure === undefined) return { key };
    return undefined;
  }

  async function attempt(key: Key, signal: AbortSignal): Promise<void> {
    const before = later.get(key)?.failure;
    triggered.delete(key);
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
    await sleep(clock, ms, controller.signal);
    signal.removeEventListener("abort", stop);
    waiting.delete(stop);
  }

  async function work(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const turn = next();
      if ("waitMs" in turn) await pause(turn.waitMs, signal);
      else {
        await attempt(turn.key, signal);
        if (spacingMs > 0) await sleep(clock, spacingMs * atOnce, signal);
      }
    }
  }

  return {
    trigger(key) {
      triggered.add(key);
      wake();
    },
    async run(signal) {
      await Promise.all(Array.from({ length: atOnce }, () => work(signal)));
    },
  };
}
