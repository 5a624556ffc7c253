/** Hashes in the kernel, read in parts. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Worker } from "node:worker_threads";
import { bytesKey, keyBytes } from "@isthmus/model";
import { createHashMap } from "./hash-map.js";
import { Errno, MapFlag, MapType } from "./kernel-constants.js";
import { type Fd, native } from "./native.js";
import type { RewriteData } from "./testing/rewrite-worker.js";

const COUNT = 3000;
/** BPF_MAP_TYPE_LPM_TRIE. */
const LPM_TRIE = 11;

function create(t: TestContext, type: number, flags: number): Fd {
  const shape = { type, keySize: 8, valueSize: 4, maxEntries: COUNT + 1, flags };
  const map = native().mapCreate({ ...shape, name: "test" });
  t.after(() => map.close());
  return map;
}

const open = (t: TestContext, type: number, flags: number) => createHashMap("test", create(t, type, flags));

/** 32 significant bits, and a number in them: keys of either kind of map. */
function key(i: number): string {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(32);
  bytes.writeUInt32BE(i, 4);
  return bytesKey(bytes);
}

for (const [name, type, flags] of [
  ["hash", MapType.Hash, 0],
  ["trie", LPM_TRIE, MapFlag.NoPrealloc],
] as const)
  test(`the parts of a ${name} are its entries, a thousand at a time`, async (t) => {
    const hash = open(t, type, flags);
    assert.deepEqual([...hash.parts()].flat(), []);
    await hash.insert(new Map(Array.from({ length: COUNT }, (_, i) => [key(i), Uint8Array.of(i, i >> 8, 0, 1)])));
    const parts = [...hash.parts()];
    assert.ok(
      parts.length >= 3 && parts.every((part) => part.length <= 1024),
      String(parts.map(({ length }) => length)),
    );
    const read = new Map(parts.flat().map(([entry, value]) => [bytesKey(entry), Uint8Array.from(value)]));
    assert.equal(parts.flat().length, COUNT);
    assert.deepEqual(read, await hash.load());
    assert.deepEqual(hash.get(keyBytes(key(7))), Uint8Array.of(7, 0, 0, 1));
    assert.equal(hash.get(keyBytes(key(COUNT))), undefined);
  });

for (const [name, type, flags] of [
  ["hash", MapType.Hash, MapFlag.NoPrealloc],
  ["trie", LPM_TRIE, MapFlag.NoPrealloc],
] as const)
  test(`an update of a ${name} replaces values and adds keys; a full one takes no more keys`, async (t) => {
    const map = native().mapCreate({ type, keySize: 8, valueSize: 4, maxEntries: 2, flags, name: "test" });
    t.after(() => map.close());
    const hash = createHashMap("test", map);
    await hash.insert(new Map([[key(1), Uint8Array.of(1, 0, 0, 0)]]));
    const values = new Map([1, 2, 3].map((i) => [key(i), Uint8Array.of(i, 9, 0, 0)]));
    const { done, failed } = await hash.update(values);
    assert.deepEqual([...done], [key(1), key(2)]);
    assert.deepEqual(
      [...failed].map(([failing, error]) => [failing, (error as { code?: string }).code]),
      [[key(3), "MAP_FULL"]],
    );
    values.delete(key(3));
    assert.deepEqual(await hash.load(), values);
  });

test("reading ends although entries are deleted between two parts", async (t) => {
  const hash = open(t, LPM_TRIE, MapFlag.NoPrealloc);
  await hash.insert(new Map(Array.from({ length: COUNT }, (_, i) => [key(i), new Uint8Array(4)])));
  let read = 0;
  for (const part of hash.parts()) {
    read += part.length;
    const last = part.at(-1);
    if (last !== undefined) await hash.delete(new Set([bytesKey(last[0])]));
  }
  assert.ok(read < hash.maxEntries + 1024, `${read} entries`);
});

test("an entry is deleted only with the value that it has", async (t) => {
  const hash = open(t, MapType.Hash, MapFlag.NoPrealloc);
  const [one, two] = [Uint8Array.of(1, 0, 0, 0), Uint8Array.of(2, 0, 0, 0)];
  await hash.insert(new Map([1, 2, 3].map((i) => [key(i), one])));
  const { done, failed } = await hash.deleteUnchanged(
    new Map([
      [key(1), one],
      [key(2), two],
      [key(4), one],
    ]),
  );
  assert.deepEqual([done.size, failed.size], [3, 0]);
  assert.deepEqual([...(await hash.load()).keys()].sort(), [key(2), key(3)]);
  const trie = open(t, LPM_TRIE, MapFlag.NoPrealloc);
  await assert.rejects(trie.deleteUnchanged(new Map([[key(1), one]])), { code: "EINVAL" });
});

test("a value that another thread puts there in the middle of a deletion stays", async (t) => {
  const map = create(t, MapType.Hash, MapFlag.NoPrealloc);
  const [zero, one] = [new Uint8Array(4), Uint8Array.of(1, 0, 0, 0)];
  const [entry, done] = [keyBytes(key(1)), new Int32Array(new SharedArrayBuffer(4))];
  const data: RewriteData = { mapId: native().mapInfo(map).id, key: entry, values: [zero, one], times: 2000, done };
  const worker = new Worker(new URL("./testing/rewrite-worker.js", import.meta.url), { workerData: data });
  t.after(() => worker.terminate());
  const keys = Buffer.concat(Array.from({ length: 50 }, () => entry));
  let deleted = 0;
  for (let round = 1; round <= 200 || deleted === 0; round++) {
    assert.ok(round < 10_000, "nothing was deleted");
    worker.postMessage("");
    while (Atomics.load(done, 0) < round)
      for (const errno of native().mapDeleteUnchanged(map, keys, new Uint8Array(4 * 50))) {
        if (errno === 0) deleted++;
        else assert.ok(errno === Errno.ESTALE || errno === Errno.ENOENT, String(errno));
      }
    assert.deepEqual(native().mapLookup(map, entry), one, `round ${round}`);
  }
});
