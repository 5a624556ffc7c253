/**
 * Decides what must be written for one label set, so that it has one number while a pod has it (pure).
 *
 *   no number ──create──► in use ──release──► released ──delete, after the quarantine──► gone
 *                           ▲                    │
 *                           └───────revive───────┘
 *
 * Two allocators may each give the set a number: the lowest is in use, the others are released. Objects only change by what is
 * planned here, and each write must be refused by the API server when its object is not as it was planned for.
 */
import type { IdentityNumber } from "./number.js";

/** A number that the set has. */
export interface AllocatedIdentity {
  /** That of the object's name. */
  readonly number: IdentityNumber;
  /** Wall clock, milliseconds, when nothing needed it any more; undefined: it is in use. */
  readonly releasedAtMs: number | undefined;
}

/** What is known of one label set. */
export interface LabelSetState {
  /** A pod has these labels. */
  readonly isWanted: boolean;
  /** All objects with these labels, in any order. */
  readonly identities: readonly AllocatedIdentity[];
}

export type AllocationStep =
  /** Give the set a number that was never given. */
  | { readonly type: "create" }
  /** Mark the number as not needed. */
  | { readonly type: "release"; readonly number: IdentityNumber }
  /** Remove that mark. */
  | { readonly type: "revive"; readonly number: IdentityNumber }
  /** The number stays taken all the same: the cursor is beyond it. */
  | { readonly type: "delete"; readonly number: IdentityNumber };

export interface AllocationPlan {
  /** In any order. */
  readonly steps: readonly AllocationStep[];
  /** When to plan again although nothing changes: the next quarantine is over then. Undefined: none is running. */
  readonly againMs: number | undefined;
}

/**
 * How long the object of a released number is kept. Pods that come back within it, such as those of a CronJob, have their number
 * again, and what was sent with it is still understood.
 */
export const QUARANTINE_MS = 3_600_000;

/** The number of a set: the lowest, released or not. All readers choose the same one. */
export function numberInUse(identities: readonly AllocatedIdentity[]): IdentityNumber | undefined {
  let lowest: IdentityNumber | undefined;
  for (const { number } of identities) if (lowest === undefined || number < lowest) lowest = number;
  return lowest;
}

/** `nowMs`: wall clock. A mark in the future counts from now. */
export function planLabelSet(
  { isWanted, identities }: LabelSetState,
  nowMs: number,
  quarantineMs: number = QUARANTINE_MS,
): AllocationPlan {
  if (isWanted && identities.length === 0) return { steps: [{ type: "create" }], againMs: undefined };
  const needed = isWanted ? numberInUse(identities) : undefined;
  const steps: AllocationStep[] = [];
  let againMs: number | undefined;
  for (const { number, releasedAtMs } of identities) {
    if (number === needed) {
      if (releasedAtMs !== undefined) steps.push({ type: "revive", number });
    } else if (releasedAtMs === undefined) steps.push({ type: "release", number });
    else {
      const leftMs = Math.min(releasedAtMs, nowMs) + quarantineMs - nowMs;
      if (leftMs <= 0) steps.push({ type: "delete", number });
      else againMs = Math.min(againMs ?? leftMs, leftMs);
    }
  }
  return { steps, againMs };
}
