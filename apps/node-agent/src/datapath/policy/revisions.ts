/**
 * Revisions of policies, which are never used twice on a node: flows in mesh_conntrack have that under which they were
 * allowed, and live longer than a pod and an agent. So the last one is in row 0 of mesh_policy_sets.
 */
import { PolicyStateRow } from "@isthmus/bpf";
import type { ArrayPort } from "@isthmus/reconcile";

export interface Revisions {
  /**
   * Another one, which is stored before it is returned. After 2^32 the numbers begin anew with 1: with a hundred a second in
   * 16 months, when no flow is left that the first ones allowed.
   */
  next(): number;
  /** Identities change, and pods must get another revision for it: kept for the next agent. */
  pending: boolean;
}

const { revision: REVISION, pending: PENDING } = PolicyStateRow.offsets;

/** `sets`: mesh_policy_sets. */
export function openRevisions(sets: ArrayPort): Revisions {
  const held = PolicyStateRow.decode(sets.read(0));
  let last = held.revision;
  let pending = held.pending !== 0;
  return {
    next() {
      last = last === 0xffff_ffff ? 1 : last + 1;
      sets.storeWord32(0, REVISION, last);
      return last;
    },
    get pending() {
      return pending;
    },
    set pending(value) {
      if (value === pending) return;
      sets.storeWord32(0, PENDING, Number(value));
      pending = value;
    },
  };
}
