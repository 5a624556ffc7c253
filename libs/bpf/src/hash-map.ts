/**
 * Implements the hash ports of libs/reconcile on a pinned BPF hash or longest-prefix trie. Work is split into chunks of about a millisecond, and the
 * event loop runs between them.
 */
import { bytesKey, keyBytes } from "@isthmus/model";
import type { BatchResult, HashEntry, RewritableHashPort, SharedHashPort } from "@isthmus/reconcile";
import { nextTurn } from "@isthmus/runtime";
import { mapError } from "./errors.js";
import { Errno, UpdateFlag } from "./kernel-constants.js";
import { type Fd, native } from "./native.js";

const CHUNK = 1024;

/** `name`: of the pin, for errors. `map` stays the caller's, which must not close it before the port's last call. */
export function createHashMap(name: string, map: Fd): SharedHashPort & RewritableHashPort {
  const { keySize, valueSize, maxEntries } = native().mapInfo(map);

  async function load(): Promise<Map<string, Uint8Array>> {
    const entries = new Map<string, Uint8Array>();
    for (let cursor: Uint8Array | undefined, end = false; !end; await nextTurn()) {
      const dump = native().mapDump(map, cursor, CHUNK);
      for (let i = 0; i < dump.count; i++) {
        const key = bytesKey(dump.keys.subarray(i * keySize, (i + 1) * keySize));
        entries.set(key, dump.values.slice(i * valueSize, (i + 1) * valueSize));
      }
      cursor = dump.cursor;
      end = dump.end;
    }
    return entries;
  }

  function* parts(): Generator<readonly HashEntry[], void> {
    let left = maxEntries;
    for (let cursor: Uint8Array | undefined, end = false; !end && left > 0; ) {
      const { keys, values, count, ...dump } = native().mapDump(map, cursor, CHUNK);
      yield Array.from({ length: count }, (_, i): HashEntry => {
        return [keys.subarray(i * keySize, (i + 1) * keySize), values.subarray(i * valueSize, (i + 1) * valueSize)];
      });
      // A map without batches begins anew when the entry of its cursor is deleted: the bound ends that.
      left -= count;
      cursor = dump.cursor;
      end = dump.end;
    }
  }

  /**
   * Calls `call` with the packed keys of each chunk; its result (0 or errno per key) decides what is done or failed.
   */
  async function each(
    keys: readonly string[],
    action: string,
    call: (packed: Uint8Array, chunk: readonly string[]) => Int32Array,
  ): Promise<BatchResult> {
    const done = new Set<string>();
    const failed = new Map<string, Error>();
    for (let at = 0; at < keys.length; at += CHUNK) {
      const chunk = keys.slice(at, at + CHUNK);
      const errors = call(keyBytes(chunk.join("")), chunk);
      chunk.forEach((key, i) => {
        const errno = errors[i] ?? 0;
        if (errno === 0) done.add(key);
        else failed.set(key, mapError(name, maxEntries, errno, action));
      });
      if (at + CHUNK < keys.length) await nextTurn();
    }
    return { done, failed };
  }

  const valuesOf = (entries: ReadonlyMap<string, Uint8Array>, keys: readonly string[]) =>
    Buffer.concat(keys.map((key) => entries.get(key) ?? new Uint8Array(0)));

  return {
    name,
    keySize,
    valueSize,
    maxEntries,
    load,
    parts,
    get: (key) => native().mapLookup(map, key),
    insert: (entries) =>
      each([...entries.keys()], "add an entry to", (keys, chunk) =>
        native().mapUpdateEach(map, keys, valuesOf(entries, chunk), UpdateFlag.NoExist),
      ),
    update: (entries) =>
      each([...entries.keys()], "write an entry of", (keys, chunk) =>
        native().mapUpdateEach(map, keys, valuesOf(entries, chunk), UpdateFlag.Any),
      ),
    delete: (keys) =>
      each([...keys], "delete an entry of", (packed) =>
        native()
          .mapDeleteEach(map, packed)
          .map((errno) => (errno === Errno.ENOENT ? 0 : errno)),
      ),
    deleteUnchanged: (entries) =>
      each([...entries.keys()], "delete an entry of", (keys, chunk) =>
        native()
          .mapDeleteUnchanged(map, keys, valuesOf(entries, chunk))
          .map((errno) => (errno === Errno.ENOENT || errno === Errno.ESTALE ? 0 : errno)),
      ),
  };
}
