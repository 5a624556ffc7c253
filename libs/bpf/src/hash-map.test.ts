/** Hashes in the kernel, read in parts. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { bytesKey } from "@isthmus/model";
import { createHashMap } from "./hash-map.js";
import { MapFlag, MapType } from "./kernel-constants.js";
import { native } from "./native.js";

const COUNT = 3000;
/** BPF_MAP_TYPE_LPM_TRIE. */
const LPM_TRIE = 11;

function open(t: TestContext, type: number, flags: number) {
  const shape = { type, keySize: 8, valueSize: 4, maxEntries: COUNT + 1, flags };
  const map = native().mapCreate({ ...shape, name: "test" });
  t.after(() => map.close());
  return createHashMap("test", map);
}

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
