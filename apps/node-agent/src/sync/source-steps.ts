/** Builds and merges the steps that a source returns for a message. Pure. */
import type { Position } from "@isthmus/proto";
import type { SourceDelta, SourceStep } from "./source-types.js";

/** A delta without records that brings a source to a position. */
export function deltaTo(clusterId: number, floor: Position, observedUs: bigint): SourceDelta {
  return { clusterId, upserts: [], deletes: [], floor, observedUs, whole: true, transition: "none" };
}

/** Marks the step's delta as whole: with it, everything up to its floor is applied. */
export function asWhole(step: SourceStep): SourceStep {
  return step.delta === undefined ? step : { ...step, delta: { ...step.delta, whole: true } };
}

/** Merges two steps in order: the events of both; of any other field that both have, that of the second. */
export function mergeSteps(a: SourceStep, b: SourceStep): SourceStep {
  return { ...a, ...b, events: [...(a.events ?? []), ...(b.events ?? [])] };
}
