/**
 * The grace period: resolves when no program that began before the call still runs, so that freed slots may be reused.
 *
 * It updates a map of maps, an operation that the kernel completes with synchronize_rcu(). membarrier(GLOBAL) costs the
 * same but does not wait when only one CPU is online, and does not work with nohz_full. The update runs on a worker
 * thread. Calls share a grace period that has not started yet.
 */
import { MapFlag, MapType } from "./kernel-constants.js";
import { native } from "./native.js";

/** `wait`: waits for one grace period, which begins with its call. A call of the result rejects when `wait` does. */
export function createGracePeriod(wait: () => Promise<void> = unreadMapUpdate()): () => Promise<void> {
  let queued: Promise<void> | undefined;
  let running: Promise<void> = Promise.resolve();

  function once(): Promise<void> {
    queued = undefined;
    return wait();
  }

  return () => {
    if (queued === undefined) {
      queued = running.then(once, once);
      running = queued;
    }
    return queued;
  };
}

/** Updates a map of maps that no program reads. */
function unreadMapUpdate(): () => Promise<void> {
  const inner = { type: MapType.Array, keySize: 4, valueSize: 4, maxEntries: 1, flags: MapFlag.None, name: "mesh_rcu" };
  const first = native().mapCreate(inner);
  const outer = native().mapCreate({ ...inner, type: MapType.ArrayOfMaps, inner: first });
  const key = new Uint8Array(4);
  // The function references both handles, because the garbage collector closes unreferenced ones.
  return () => native().mapUpdateSlow(outer, key, new Uint8Array(Uint32Array.of(first.fd).buffer));
}
