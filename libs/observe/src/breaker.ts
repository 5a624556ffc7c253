/**
 * A circuit breaker in front of on-demand unary calls to a remote dependency; never in front of probes, streams, or the
 * publisher's writes.
 *
 * In: an async call. Out: the same call; while open it fails at once with `BREAKER_OPEN`. It opens only after at least
 * `volumeThreshold` (≥ 5) calls in the window, and lets one call through again after about a second, jittered.
 */
import { MeshError } from "@isthmus/model";
import CircuitBreaker from "opossum";

export interface BreakerOptions {
  /** What is called, for the sentence and the metric: `store east`. */
  readonly name: string;
  /** Deadline of one call in milliseconds. */
  readonly timeoutMs: number;
  /** Percent of failed calls that opens it; 50 unless given. */
  readonly errorPercent?: number;
  /** Calls in the window before it may open; 5 unless given, never below. */
  readonly volumeThreshold?: number;
  /** Mean time until a call is let through again; 1000 unless given; jittered by ±20 %. */
  readonly resetMs?: number;
  /** True for an error that is no evidence about the dependency's health ("not found"): rethrown, not counted. */
  readonly isHarmless?: (thrown: unknown) => boolean;
}

export interface Breaker {
  /** Rejects with `BREAKER_OPEN` or `DEADLINE`, or with what the call threw. */
  call<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T>;
  /** Closed: calls pass; open: they fail at once; half-open: the next one decides. */
  readonly state: "closed" | "half-open" | "open";
  /** Calls the listener at each change of `state`, for as long as the breaker exists. */
  onChange(listener: (state: Breaker["state"]) => void): void;
  /** Stops its timers. */
  close(): void;
}

/** A closed breaker; `close` it, or its timers keep the process alive. */
export function createBreaker(options: BreakerOptions): Breaker {
  const resetMs = options.resetMs ?? 1000;
  const inner = new CircuitBreaker((work: () => Promise<unknown>) => work(), {
    name: options.name,
    timeout: false,
    errorThresholdPercentage: options.errorPercent ?? 50,
    volumeThreshold: Math.max(5, options.volumeThreshold ?? 5),
    resetTimeout: Math.round(resetMs * (0.8 + 0.4 * Math.random())),
    rollingCountTimeout: 10_000,
    ...(options.isHarmless === undefined ? {} : { errorFilter: options.isHarmless }),
  });
  const state = () => (inner.opened ? "open" : inner.halfOpen ? "half-open" : "closed");
  return {
    async call<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
      try {
        return (await inner.fire(() => withDeadline(options, work))) as T;
      } catch (thrown) {
        if (isOpenError(thrown))
          throw new MeshError(
            { code: "BREAKER_OPEN", name: options.name },
            `Cannot call ${options.name}: it failed repeatedly, the next call is allowed about ${resetMs} ms after the last`,
            { cause: thrown },
          );
        throw thrown;
      }
    },
    get state() {
      return state();
    },
    onChange(listener) {
      inner.on("open", () => listener("open"));
      inner.on("halfOpen", () => listener("half-open"));
      inner.on("close", () => listener("closed"));
    },
    close: () => inner.shutdown(),
  };
}

async function withDeadline<T>(options: BreakerOptions, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const { name, timeoutMs } = options;
      const error = new MeshError(
        { code: "DEADLINE", name, timeoutMs },
        `Cannot call ${name}: no answer within ${timeoutMs} ms`,
      );
      reject(error);
      controller.abort(error);
    }, options.timeoutMs);
  });
  try {
    return await Promise.race([work(controller.signal), deadline]);
  } finally {
    clearTimeout(timer);
  }
}

function isOpenError(thrown: unknown): boolean {
  return thrown instanceof Error && (thrown as NodeJS.ErrnoException).code === "EOPENBREAKER";
}
