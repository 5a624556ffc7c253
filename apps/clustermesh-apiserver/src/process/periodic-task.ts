/**
 * Runs a task after each trigger, and periodically without one.
 *
 * One run at a time. A failure is retried with jittered back-off; the same failure is logged once.
 */
import type { Clock } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { createBackoff, createPace, sleep } from "@isthmus/runtime";

export interface PeriodicTask {
  /** Runs the task soon: something changed. */
  trigger(): void;
  /** The last run's failure; undefined when it succeeded. */
  readonly problem: string | undefined;
  /** The first run is at once. Resolves when aborted; failures do not reject it. */
  run(signal: AbortSignal): Promise<void>;
}

export interface PeriodicTaskOptions {
  /** What the log calls the task. */
  readonly name: string;
  /** The task also runs after this time without a trigger. */
  readonly everyMs: number;
  /** A rejection is a failure. The signal is that of `run`: the task should end when it aborts. */
  readonly task: (signal: AbortSignal) => Promise<void>;
}

/** Triggers in quick succession are one run; while they continue, the time between runs doubles up to `maxMs`. */
const PACE = { minMs: 100, maxMs: 5_000, quietMs: 10_000 };
const GATHER_MS = 50;

/** Nothing runs before `run`. */
export function createPeriodicTask(
  options: PeriodicTaskOptions,
  modules: { readonly clock: Clock; readonly log: Logger },
): PeriodicTask {
  const backoff = createBackoff({ minMs: 200, maxMs: 10_000 });
  const pace = createPace(PACE);
  let triggered = true;
  let resting = false;
  let problem: string | undefined;
  let waiting = new AbortController();

  async function once(signal: AbortSignal): Promise<void> {
    if (triggered) pace.recordRun(modules.clock.now());
    triggered = false;
    try {
      await options.task(signal);
      problem = undefined;
      backoff.reset();
    } catch (thrown) {
      if (signal.aborted) return;
      const message = thrown instanceof Error ? thrown.message : String(thrown);
      if (message !== problem) modules.log.warn("Task failed, retrying", { task: options.name, error: thrown });
      problem = message;
    }
  }

  async function wait(ms: number, signal: AbortSignal): Promise<void> {
    waiting = new AbortController();
    if (signal.aborted) return;
    const stop = () => waiting.abort();
    signal.addEventListener("abort", stop, { once: true });
    await sleep(modules.clock, ms, waiting.signal);
    signal.removeEventListener("abort", stop);
  }

  /** Waits for a trigger or the period, then until the pace allows a run. */
  async function waitForTurn(signal: AbortSignal): Promise<void> {
    if (triggered) await wait(GATHER_MS, signal);
    else {
      resting = true;
      await wait(options.everyMs, signal);
      resting = false;
    }
    const ms = triggered ? pace.waitMs(modules.clock.now()) : 0;
    if (ms > 0) await wait(ms, signal);
  }

  return {
    get problem() {
      return problem;
    },
    trigger() {
      triggered = true;
      // A retry keeps its back-off: a trigger does not make the API answer.
      if (resting) waiting.abort();
    },
    async run(signal) {
      while (!signal.aborted) {
        await once(signal);
        if (problem !== undefined) await wait(backoff.nextMs(), signal);
        else await waitForTurn(signal);
      }
    },
  };
}
