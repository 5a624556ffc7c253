/**
 * Whose word on the past of Kubernetes counts (pure; see ADR 10).
 *
 * In: an agent's floor of our local epoch that a quorum list did not reach. Out: whether it proves a restore.
 *
 * What happened while this process ran, its list-watches saw themselves. A floor beyond Kubernetes can only tell of a time
 * before, so a node's word counts once, as the first thing that it brings to this process. What it brings after it was
 * served, it has from a server that follows the same Kubernetes; and further ahead than any backup is old, nobody was.
 * So one node renews the epoch once in the life of a process, whatever it says, and makes Kubernetes be listed seldom.
 */
import type { Clock } from "@isthmus/model";

/** One resource type: the floor, and the position that a quorum list gave. */
export interface Beyond {
  readonly type: string;
  readonly floor: bigint;
  readonly have: bigint;
}

export interface FloorClaims {
  /** The node was given content, or went on from its own: from now on its floors are known. */
  served(node: string): void;
  /** Milliseconds until Kubernetes may be listed for this node again; counts as having been listed then. */
  turn(node: string): number;
  judge(node: string, beyond: readonly Beyond[]): "restored" | "refused";
  /** Floors refused so far. */
  readonly refused: number;
}

/** More than any restore takes back: 50 days of 1,000 writes a second. */
export const MAX_LOST_REVISIONS = 2n ** 32n;
const LIST_EVERY_MS = 5000;
/** Certificates name nodes, so there are few; who is forgotten has his word once more. */
const MAX_NODES = 16_384;

export function createFloorClaims(clock: Pick<Clock, "now">): FloorClaims {
  const heard = new Set<string>();
  const nextTurn = new Map<string, number>();
  let refused = 0;

  function hear(node: string): void {
    if (heard.size >= MAX_NODES && !heard.has(node)) heard.clear();
    heard.add(node);
  }

  return {
    served: hear,
    turn(node) {
      if (nextTurn.size >= MAX_NODES && !nextTurn.has(node)) nextTurn.clear();
      const now = clock.now();
      // Who comes again and again waits for one turn, not for all that it has missed.
      const at = Math.min(now + LIST_EVERY_MS, Math.max(now, nextTurn.get(node) ?? now));
      nextTurn.set(node, at + LIST_EVERY_MS);
      return at - now;
    },
    judge(node, beyond) {
      const possible = beyond.every(({ floor, have }) => floor - have <= MAX_LOST_REVISIONS);
      const believed = possible && !heard.has(node);
      hear(node);
      if (!believed) refused++;
      return believed ? "restored" : "refused";
    },
    get refused() {
      return refused;
    },
  };
}
