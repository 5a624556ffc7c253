/** Putting together what a source answers to a message. Pure. */
import type { Position } from "@isthmus/proto";
import type { SourceDelta, SourceStep } from "./source-types.js";

/** A delta that only brings a source to a position. */
export function deltaTo(clusterId: number, floor: Position, observedUs: bigint): SourceDelta {
  return { clusterId, upserts: [], deletes: [], floor, observedUs, whole: true, turn: "none" };
}

/** With this, all of its position is applied. */
export function asWhole(step: SourceStep): SourceStep {
  return step.delta === undefined ? step : { ...step, delta: { ...step.delta, whole: true } };
}

/** One after the other; of two that ask or apply, what the second says. */
export function mergeSteps(a: SourceStep, b: SourceStep): SourceStep {
  return { ...a, ...b, events: [...(a.events ?? []), ...(b.events ?? [])] };
}
