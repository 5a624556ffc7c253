/**
 * Runs the parts of the process: started in order, closed the newest first.
 *
 *   starting ──► serving ──── signal ────► delay ──► stopping ──► closed
 *      │            └── a part failed ─────────────────▲
 *      └─────────────── signal, a part failed ─────────┘
 *
 * A process that serves keeps serving for the delay, so that agents miss nothing while its replacement starts.
 */
import { setMaxListeners } from "node:events";
import type { Clock } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { sleep } from "@isthmus/runtime";

export type Close = () => Promise<void> | void;

export interface Parts {
  /** Aborted when the process stops. */
  readonly signal: AbortSignal;
  /** Closes the part at shutdown, after all that are kept later. Returns it. */
  keep<Part>(part: Part, close: (part: Part) => Promise<void> | void): Part;
  /** Runs a part until the process stops. An error of it stops the process, which ends with that error. */
  start(part: { run(signal: AbortSignal): Promise<void> }): void;
  /** The process serves from now on: a signal stops it only after the delay. */
  markServing(): void;
  /** Resolves when the process must stop. Rejects with the error of a part that failed. */
  ended(): Promise<void>;
}

export interface PartsOptions {
  /** Time from the signal to the shutdown of a process that serves. */
  readonly shutdownDelayMs: number;
  /** Time that one part may take to close. */
  readonly closeMs?: number;
}

const CLOSE_MS = 5000;

/** Resolves when `start` has returned and all parts are closed. Rejects with its error, unless the signal caused that. */
export async function runParts(
  options: PartsOptions,
  { clock, log, signal }: { readonly clock: Clock; readonly log: Logger; readonly signal: AbortSignal },
  start: (parts: Parts) => Promise<void>,
): Promise<void> {
  const life = new AbortController();
  const failed = new AbortController();
  // Every part of the process listens to this one signal, so the listener limit is off.
  setMaxListeners(0, life.signal);
  const closing: Close[] = [];
  let serving = false;

  async function stop(): Promise<void> {
    const ms = options.shutdownDelayMs;
    if (serving && ms > 0) {
      log.info("Termination requested, serving until the shutdown delay ends", { ms });
      await sleep(clock, ms, life.signal);
    }
    life.abort(signal.reason);
  }
  if (signal.aborted) life.abort(signal.reason);
  signal.addEventListener("abort", () => void stop(), { once: true });

  try {
    await start({
      signal: life.signal,
      keep(part, close) {
        closing.unshift(() => close(part));
        return part;
      },
      start(part) {
        const running = part.run(life.signal).catch((thrown: unknown) => {
          failed.abort(thrown);
          life.abort(thrown);
        });
        closing.unshift(() => running);
      },
      markServing() {
        serving = true;
      },
      async ended() {
        await aborted(life.signal);
        failed.signal.throwIfAborted();
      },
    });
  } catch (thrown) {
    if (!signal.aborted && !failed.signal.aborted) throw thrown;
  } finally {
    life.abort();
    await closeParts(closing, log, options.closeMs);
  }
  if (!signal.aborted) failed.signal.throwIfAborted();
}

/**
 * Closes one part after the other. A part that throws or does not close in time does not prevent the others from closing: a
 * process that hangs while it stops would not be restarted.
 */
export async function closeParts(parts: Iterable<Close>, log: Logger, limitMs = CLOSE_MS): Promise<void> {
  for (const close of parts) {
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`it did not end within ${limitMs} ms`)), limitMs);
    });
    try {
      await Promise.race([close(), limit]);
    } catch (error) {
      log.warn("A part did not close cleanly", { error });
    } finally {
      clearTimeout(timer);
    }
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
