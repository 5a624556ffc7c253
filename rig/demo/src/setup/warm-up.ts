/** Evaluates the client's samples before the faults begin. Pure. */
import type { SampleLog } from "../samples/log.js";

const QUIET_SECONDS = 3;

/** True when the samples of the last three seconds have arrived and all are answered. */
export function isQuiet(log: Pick<SampleLog, "started" | "samples">): boolean {
  const wanted = QUIET_SECONDS * (log.started()?.rate ?? 100);
  const last = log.samples().slice(-wanted);
  return last.length === wanted && last.every((sample) => sample.outcome === "ok");
}

/** Outcomes for the error when the client does not become quiet: "287 ok, 13 refused". */
export function lastOutcomes(log: Pick<SampleLog, "samples">): string {
  const words = new Map<string, number>();
  for (const { outcome } of log.samples().slice(-300)) words.set(outcome, (words.get(outcome) ?? 0) + 1);
  return words.size === 0 ? "no request yet" : [...words].map(([word, n]) => `${n} ${word}`).join(", ");
}
