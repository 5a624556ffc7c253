/** Bounds the first syncs that run at once: each holds a slot from its first chunk to its last. */
export interface SnapshotGate {
  /** False when all slots are taken; true also when this client has one already. */
  take(client: object): boolean;
  /** Nothing happens when the client has no slot. */
  release(client: object): void;
  /** Number of slots that are taken. */
  readonly running: number;
}

/** `limit`: number of slots. */
export function createSnapshotGate(limit: number): SnapshotGate {
  const running = new Set<object>();
  return {
    take(client) {
      if (running.has(client)) return true;
      if (running.size >= limit) return false;
      running.add(client);
      return true;
    },
    release: (client) => void running.delete(client),
    get running() {
      return running.size;
    },
  };
}
