/**
 * The setting `rescue-after` of a Service or a cluster: when a connect that its backend does not answer is moved to another
 * backend.
 */

/**
 * Whole milliseconds after which an unanswered SYN is repeated, to another backend; "auto": by the round-trip time to the
 * backend's node; "off": no connect is moved, refused ones included.
 */
export type RescueAfter = "auto" | "off" | number;

/** As records, reports and rows of maps have it. */
export interface RescueFields {
  /** No connect is moved; the other field has no effect. */
  readonly noRescue: boolean;
  /** 0 = by round-trip time. */
  readonly rescueAfterMs: number;
}

export const DEFAULT_RESCUE_AFTER: RescueAfter = "auto";
/** Below it healthy connects would be moved, above it the kernel's own repeats come first. */
const [LEAST_MS, MOST_MS] = [50, 10_000];

/** What may be written, for sentences. */
export const RESCUE_AFTER_VALUES = '"auto", "off", or a duration from "50ms" to "10s"';

/** Parses `auto`, `off`, `250ms`, `1.5s`; undefined for anything else, and outside of 50 ms to 10 s. */
export function parseRescueAfter(text: string): RescueAfter | undefined {
  if (text === "auto" || text === "off") return text;
  const match = /^(\d{1,5}(?:\.\d{1,3})?)(ms|s)$/.exec(text);
  if (match === null) return undefined;
  const ms = Math.round(Number(match[1]) * (match[2] === "s" ? 1000 : 1));
  return ms >= LEAST_MS && ms <= MOST_MS ? ms : undefined;
}

/** The shortest text that `parseRescueAfter` reads as this value. */
export function formatRescueAfter(value: RescueAfter): string {
  if (typeof value === "string") return value;
  return value % 1000 === 0 ? `${value / 1000}s` : `${value}ms`;
}

/** A duration must be within the bounds of `parseRescueAfter`. */
export function toRescueFields(value: RescueAfter): RescueFields {
  return { noRescue: value === "off", rescueAfterMs: typeof value === "number" ? value : 0 };
}

/** A duration that this version does not allow becomes the nearest one that it does. */
export function fromRescueFields({ noRescue, rescueAfterMs }: RescueFields): RescueAfter {
  if (noRescue) return "off";
  return rescueAfterMs === 0 ? "auto" : Math.min(Math.max(rescueAfterMs, LEAST_MS), MOST_MS);
}
