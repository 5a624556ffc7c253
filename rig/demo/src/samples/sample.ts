/** One request of the load, as the client measured it. */

/** Milliseconds on the machine's monotonic clock: the same for every process of the lab, and never set back. */
export type Mono = number;

/** "starved": the deadline passed while the client itself was not running; a loss, but not the mesh's. */
export const OUTCOMES = ["ok", "refused", "reset", "timeout", "starved", "other"] as const;
export type Outcome = (typeof OUTCOMES)[number];

export interface Sample {
  /** Counts from 0; request n was due at start + n / rate. */
  readonly number: number;
  readonly due: Mono;
  readonly end: Mono;
  /** When the connection was established; null if it never was. */
  readonly connected: Mono | null;
  readonly outcome: Outcome;
  /** The responder; both fields are empty unless the outcome is "ok". */
  readonly cluster: string;
  readonly pod: string;
  /** When the responder first answered its readiness probe; null: not before it answered this, or there was no answer. */
  readonly readyAt: Mono | null;
}

/** Reads the clock of samples and marks in this process. */
export function monoNow(): Mono {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}
