/**
 * Runs passes one at a time: again when one was triggered meanwhile, and with back-off while the pass reports a problem.
 * Triggers are cheap: those that come during a pass cause one more pass.
 */
import { type Clock, MeshError } from "@isthmus/model";
import { createBackoff } from "@isthmus/runtime";

export interface PassLoopModules {
  /** Times the retries of a problem: the first after at most 500 ms, later ones after at most 30 s. */
  readonly clock: Clock;
  /** No pass begins after it aborts; one that runs is not interrupted. */
  readonly signal: AbortSignal;
  /** Resolves with the problem, or undefined. The message of a pass that rejects is its problem. */
  readonly pass: () => Promise<string | undefined>;
  /** Called with a problem that the previous pass did not have. */
  readonly failed: (problem: string) => void;
}

export interface PassLoop {
  /** Resolves when no pass runs or is wanted; a later retry is not awaited. Never rejects. */
  trigger(): Promise<void>;
  /** Resolves when no pass runs, also after the abort. */
  idle(): Promise<void>;
  /** The problem of the last pass. */
  readonly problem: string | undefined;
}

/** No pass runs before the first `trigger`. */
export function createPassLoop({ clock, signal, pass, failed }: PassLoopModules): PassLoop {
  const backoff = createBackoff({ minMs: 500, maxMs: 30_000 });
  let retry = new AbortController();
  signal.addEventListener("abort", () => retry.abort(), { once: true });
  let wanted = false;
  let running: Promise<void> | undefined;
  let problem: string | undefined;

  async function runOnce(): Promise<string | undefined> {
    try {
      return await pass();
    } catch (thrown) {
      return MeshError.from(thrown).message;
    }
  }

  async function loop(): Promise<void> {
    while (wanted && !signal.aborted) {
      wanted = false;
      retry.abort();
      const result = await runOnce();
      if (result !== undefined && result !== problem) failed(result);
      problem = result;
      if (problem === undefined) backoff.reset();
      else retryLater();
    }
    running = undefined;
  }

  /** Sets the one retry timer; a pass that runs earlier cancels it. */
  function retryLater(): void {
    if (signal.aborted) return;
    retry = new AbortController();
    clock.delay(backoff.nextMs(), retry.signal).then(trigger, () => undefined);
  }

  function trigger(): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    wanted = true;
    running ??= loop();
    return running;
  }

  return {
    trigger,
    idle: () => running ?? Promise.resolve(),
    get problem() {
      return problem;
    },
  };
}
