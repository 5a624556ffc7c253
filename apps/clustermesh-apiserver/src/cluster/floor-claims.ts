/**
 * Decides whether an agent's floor proves that Kubernetes was restored from a backup (pure; see ADR 10).
 *
 * In: an agent's floor in the local epoch whose resource versions a quorum list did not reach. Out: "restored" or "refused".
 *
 * The list-watches of this process notice a restore while it runs, so a floor beyond Kubernetes is evidence only of a restore
 * before its start. A node's floor therefore counts only once, as the first one that the node brings to this process: after the
 * node was served, its floor comes from a server that follows the same Kubernetes. A floor further ahead than any backup is old
 * (MAX_LOST_REVISIONS) is never evidence. So one node can renew the epoch at most once in the life of a process, and can make it
 * list Kubernetes only every LIST_EVERY_MS.
 */
import type { Clock } from "@isthmus/model";

/** One resource type: the agent's floor, and the resource version that a quorum list returned. */
export interface UnreachedFloor {
  /** One of VERSION_TYPES. */
  readonly type: string;
  /** Resource version in the agent's position. */
  readonly floor: bigint;
  /** Resource version of this process's list-watch. */
  readonly have: bigint;
}

export interface FloorClaims {
  /** The node received content, or continued from its own position: its later floors are no evidence of a restore. */
  markServed(node: string): void;
  /** Returns the milliseconds until Kubernetes may be listed for this node again, and reserves that turn. */
  reserveListing(node: string): number;
  /** `beyond` has at least one entry. The node is known from then on: its next floor is refused. */
  judge(node: string, beyond: readonly UnreachedFloor[]): "restored" | "refused";
  /** Floors refused so far. */
  readonly refused: number;
}

/** More revisions than any restore loses: 50 days of 1,000 writes a second. */
export const MAX_LOST_REVISIONS = 2n ** 32n;
const LIST_EVERY_MS = 5000;
/** Certificates name nodes, so there are few. A node that is forgotten here counts as new once more. */
const MAX_NODES = 16_384;

/** Remembers at most 16,384 nodes: one more, and all others are forgotten. */
export function createFloorClaims(clock: Pick<Clock, "now">): FloorClaims {
  const knownNodes = new Set<string>();
  const nextTurn = new Map<string, number>();
  let refused = 0;

  function remember(node: string): void {
    if (knownNodes.size >= MAX_NODES && !knownNodes.has(node)) knownNodes.clear();
    knownNodes.add(node);
  }

  return {
    markServed: remember,
    reserveListing(node) {
      if (nextTurn.size >= MAX_NODES && !nextTurn.has(node)) nextTurn.clear();
      const now = clock.now();
      // A node that reconnects repeatedly waits for one turn, not for the sum of the turns that it reserved.
      const at = Math.min(now + LIST_EVERY_MS, Math.max(now, nextTurn.get(node) ?? now));
      nextTurn.set(node, at + LIST_EVERY_MS);
      return at - now;
    },
    judge(node, beyond) {
      const possible = beyond.every(({ floor, have }) => floor - have <= MAX_LOST_REVISIONS);
      const believed = possible && !knownNodes.has(node);
      remember(node);
      if (!believed) refused++;
      return believed ? "restored" : "refused";
    },
    get refused() {
      return refused;
    },
  };
}
