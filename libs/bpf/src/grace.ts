/**
 * The grace period: resolves when no program that began before still runs, so that freed slots may be reused.
 *
 * It is an update of a map of maps, which the kernel ends with synchronize_rcu(). membarrier(GLOBAL) costs the same and
 * does not wait where one CPU is online, nor works at all with nohz_full. The update runs on a worker thread. Callers
 * that come while one is about to start share it.
 */
import { MapFlag, MapType } from "./kernel-constants.js";
import { native } from "./native.js";

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
  // Both handles are used at each call: one that nothing holds is closed by the garbage collector.
  return () => native().mapUpdateSlow(outer, key, new Uint8Array(Uint32Array.of(first.fd).buffer));
}
