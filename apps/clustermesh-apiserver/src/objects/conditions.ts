/**
 * Merges conditions into those of an object: a condition whose status did not change keeps its lastTransitionTime.
 *
 * A message may contain text of other clusters, nodes and pods: it is made printable, and short enough for the API, which
 * accepts 32,768 bytes.
 */
import type { MeshCondition } from "@isthmus/kube";
import { printable } from "@isthmus/model";

export type Verdict = Pick<MeshCondition, "type" | "status" | "reason" | "message">;

/** Prefix of the mesh's condition types on objects that the mesh does not own. */
export const CONDITION_PREFIX = "mesh.isthmus.io/";

/** In UTF-16 units, each at most three bytes. */
const MESSAGE_LENGTH = 8_192;

/** Conditions that `now` does not name are dropped. `generation` undefined: no `observedGeneration`. */
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
    const message = printable(verdict.message, MESSAGE_LENGTH);
    return {
      ...verdict,
      message,
      lastTransitionTime,
      ...(generation === undefined ? {} : { observedGeneration: generation }),
    };
  });
}
