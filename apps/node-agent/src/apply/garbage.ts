/**
 * Objects that are out of use and wait for a grace period, and the loop that frees them in the background.
 *
 * ```
 *   words flipped, frontends removed ──► take() ── grace period ──► free lines, rows; ids = 0 ── grace period ──► indexes
 * ```
 * One round at a time; a round frees only what was out of use before its grace period began. While an apply writes, no
 * round begins. A failed write, in an apply or in a round, stops the collector for good: the memory of this process and the
 * kernel may differ, so nothing that programs can reach is freed until a fresh agent has read the kernel back.
 */
export interface Round {
  /** Runs when the grace period has passed. An apply may run while it waits. */
  free(): void | Promise<void>;
}

export interface Collector {
  /** Starts the loop when there is something to free and it does not run. */
  kick(): void;
  /** No round begins between these two. */
  pause(): void;
  /** Ends one `pause`. It starts no round, so a `kick` must follow. */
  resume(): void;
  /** A write failed: nothing is freed any more, not even the round whose grace period is running. */
  stop(cause: unknown): void;
  /** Throws the cause if the collector was stopped. */
  check(): void;
  /** Resolves when nothing is left to free; rejects with the error of a round, or the cause of the stop. */
  settled(): Promise<void>;
}

export interface CollectorModules {
  /** Resolves when no program that began before the call still runs; rejects when that cannot be known. */
  readonly gracePeriod: () => Promise<void>;
  /** What a grace period that begins now would free; undefined = nothing. */
  readonly take: () => Round | undefined;
  /** Called when nothing is left to free, or an apply has begun, after something was freed. */
  readonly freed: () => void;
  /** The grace period failed: the round is kept, and retried with the next kick. */
  readonly failed: (error: unknown) => void;
  /** A round failed half way, which stops the collector: what it had freed must not be freed twice. */
  readonly broken: (error: unknown) => void;
}

/** Frees nothing before the first `kick` or `settled`. */
export function createCollector(modules: CollectorModules): Collector {
  let running: Promise<void> | undefined;
  let again = false;
  let paused = 0;
  let stopped: { readonly cause: unknown } | undefined;
  let round: Round | undefined;
  let failure: unknown;

  async function loop(): Promise<void> {
    for (let rounds = 0; ; rounds++) {
      if (paused === 0) round ??= modules.take();
      if (round === undefined) return void (rounds > 0 && modules.freed());
      await modules.gracePeriod();
      if (stopped !== undefined) return;
      await free(round);
      round = undefined;
    }
  }

  async function free(what: Round): Promise<void> {
    try {
      await what.free();
    } catch (thrown) {
      stop(thrown);
      throw thrown;
    }
  }

  function stop(cause: unknown): void {
    stopped ??= { cause };
  }

  function check(): void {
    if (stopped !== undefined) throw stopped.cause;
  }

  function kick(): void {
    again = running !== undefined;
    if (again || paused > 0 || stopped !== undefined) return;
    failure = undefined;
    running = loop()
      .catch((error: unknown) => {
        failure = error;
        if (stopped?.cause === error) modules.broken(error);
        else modules.failed(error);
      })
      .finally(() => {
        running = undefined;
        if (again && failure === undefined) kick();
      });
  }

  return {
    kick,
    pause() {
      paused++;
    },
    resume() {
      paused--;
    },
    stop,
    check,
    async settled() {
      kick();
      while (running !== undefined) await running;
      check();
      if (failure !== undefined) throw failure;
    },
  };
}
