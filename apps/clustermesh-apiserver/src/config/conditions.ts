/** Conditions of an object: a status that did not change keeps the time at which it last did. */
import type { MeshCondition } from "@isthmus/kube";

export type Verdict = Pick<MeshCondition, "type" | "status" | "reason" | "message">;

export function mergeConditions(
  old: readonly MeshCondition[] | undefined,
  now: readonly Verdict[],
  generation: number | undefined,
  time: Date,
): readonly MeshCondition[] {
  return now.map((verdict) => {
    const before = old?.find(({ type }) => type === verdict.type);
    const same = before !== undefined && before.status === verdict.status;
    const lastTransitionTime = same ? before.lastTransitionTime : `${time.toISOString().slice(0, 19)}Z`;
    return { ...verdict, lastTransitionTime, ...(generation === undefined ? {} : { observedGeneration: generation }) };
  });
}
