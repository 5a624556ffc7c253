/** A thread that writes two values to one key of a map in turn, the second one last: once for each message that it gets. */
import { isMainThread, parentPort, workerData } from "node:worker_threads";
import { native } from "../native.js";

/** What the thread is started with. */
export interface RewriteData {
  /** The kernel's id of the map. */
  readonly mapId: number;
  readonly key: Uint8Array;
  readonly values: readonly [Uint8Array, Uint8Array];
  readonly times: number;
  /** Element 0 counts the messages that are done. */
  readonly done: Int32Array;
}

if (!isMainThread) {
  const { mapId, key, values, times, done } = workerData as RewriteData;
  const map = native().mapById(mapId);
  const keys = Buffer.concat(Array.from({ length: 2 * times }, () => key));
  const both = Buffer.concat(Array.from({ length: times }, () => values).flat());
  parentPort?.on("message", () => {
    native().mapUpdateEach(map, keys, both, 0);
    Atomics.add(done, 0, 1);
  });
}
