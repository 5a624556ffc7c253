/** A BPF hash in memory: inserting an existing key or into a full map fails, deleting an absent key succeeds. */
import { bytesKey, keyBytes, MeshError } from "@isthmus/model";
import type { BatchResult, RewritableHashPort } from "@isthmus/reconcile";
import { Killed, type Write, type Writer } from "./write-log.js";

export interface HashShape {
  readonly name: string;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
}

export type HashMemory = Map<string, Uint8Array>;

export function createMemoryHash(shape: HashShape, memory: HashMemory, writer: Writer): RewritableHashPort {
  function put(key: string, value: Uint8Array): void {
    if (key.length !== shape.keySize || value.length !== shape.valueSize) {
      throw new MeshError({ code: "MAP_IO", map: shape.name }, `Cannot write ${shape.name}: wrong size`);
    }
    if (!memory.has(key) && memory.size >= shape.maxEntries) {
      throw new MeshError(
        { code: "MAP_FULL", map: shape.name, maxEntries: shape.maxEntries },
        `Cannot insert into ${shape.name}: all ${shape.maxEntries} entries are used`,
      );
    }
    memory.set(key, Uint8Array.from(value));
  }

  function insertOne(key: string, value: Uint8Array): void {
    if (memory.has(key)) {
      throw new MeshError({ code: "MAP_IO", map: shape.name }, `Cannot insert into ${shape.name}: key exists`);
    }
    put(key, value);
  }

  function each(what: Write["what"], keys: Iterable<string>, act: (key: string) => void): BatchResult {
    const done = new Set<string>();
    const failed = new Map<string, Error>();
    for (const key of keys) {
      const write: Write = { map: shape.name, what, at: key };
      try {
        writer.begin(write);
        act(key);
        done.add(key);
        writer.end(write);
      } catch (thrown) {
        if (thrown instanceof Killed || !(thrown instanceof Error)) throw thrown;
        failed.set(key, thrown);
      }
    }
    return { done, failed };
  }

  return {
    ...shape,
    load: async () => new Map([...memory].map(([key, value]) => [key, Uint8Array.from(value)])),
    *parts() {
      yield [...memory].map(([key, value]) => [keyBytes(key), Uint8Array.from(value)] as const);
    },
    get(key) {
      const value = memory.get(bytesKey(key));
      return value && Uint8Array.from(value);
    },
    insert: async (entries) =>
      each("insert", entries.keys(), (key) => insertOne(key, entries.get(key) ?? new Uint8Array())),
    update: async (entries) => each("update", entries.keys(), (key) => put(key, entries.get(key) ?? new Uint8Array())),
    delete: async (keys) => each("delete", keys, (key) => void memory.delete(key)),
  };
}
