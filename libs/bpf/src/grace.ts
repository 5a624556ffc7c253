/**
 * The grace period: resolves when no program that began before still runs, so that freed slots may be reused.
 *
 * membarrier(GLOBAL) is one in the kernel; where it is refused (nohz_full), an update of a map of maps waits for the
 * same. Both run on a worker thread. Callers that come while one is about to start share it.
 */
import { MapFlag, MapType } from "./kernel-constants.js";
import { native } from "./native.js";

export function createGracePeriod(membarrier: () => Promise<void> = () => native().membarrier()): () => Promise<void> {
  let wait = membarrier;
  let queued: Promise<void> | undefined;
  let running: Promise<void> = Promise.resolve();

  async function once(): Promise<void> {
    queued = undefined;
    try {
      await wait();
    } catch {
      wait = dummyUpdate();
      await wait();
    }
  }

  return () => {
    if (queued === undefined) {
      queued = running.then(once, once);
      running = queued;
    }
    return queued;
  };
}

/** Waits as an update of a map of maps waits, in a map that nobody reads. */
function dummyUpdate(): () => Promise<void> {
  const inner = { type: MapType.Array, keySize: 4, valueSize: 4, maxEntries: 1, flags: MapFlag.None, name: "mesh_rcu" };
  const first = native().mapCreate(inner);
  const outer = native().mapCreate({ ...inner, type: MapType.ArrayOfMaps, inner: first });
  const key = new Uint8Array(4);
  const value = new Uint8Array(Uint32Array.of(first.fd).buffer);
  return () => native().mapUpdateSlow(outer, key, value);
}
