/** Many stores in one call write the same bytes as single stores; one wrong index or offset rejects all of them. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { createMappedArray, type MappedArray } from "./array-map.js";
import { MapFlag, MapType } from "./kernel-constants.js";
import { native } from "./native.js";

const ENTRIES = 10;
/** Entries of 12 bytes are 16 bytes apart in the kernel's memory. */
const SIZE = 12;

function openArray(t: TestContext): MappedArray {
  const shape = { type: MapType.Array, keySize: 4, valueSize: SIZE, maxEntries: ENTRIES, flags: MapFlag.Mappable };
  const map = native().mapCreate({ ...shape, name: "mesh_test" });
  const array = createMappedArray("mesh_test", map);
  t.after(() => {
    array.close();
    map.close();
  });
  return array;
}

const at = (...places: number[]) => Uint32Array.from(places);

test("writeBodies splits the bytes equally over the entries", (t) => {
  const array = openArray(t);
  array.writeBodies(at(7, 2), Uint8Array.of(1, 2, 3, 4, 5, 6), 5);
  assert.deepEqual([...array.read(7)], [0, 0, 0, 0, 0, 1, 2, 3, 0, 0, 0, 0]);
  assert.deepEqual([...array.read(2)], [0, 0, 0, 0, 0, 4, 5, 6, 0, 0, 0, 0]);
  array.writeBodies(at(), new Uint8Array(0));
});

test("words are stored in order: of several to one offset the last one stays", (t) => {
  const array = openArray(t);
  array.storeWords32(at(9, 0, 9), at(8, 4, 8), at(1, 0xfffffffe, 3));
  assert.deepEqual([...array.read(9)], [0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0]);
  assert.deepEqual([...array.read(0)].slice(4, 8), [0xfe, 255, 255, 255]);
  array.storeWords64(at(1, 3), at(0, 0), BigUint64Array.of(0xfedcba9876543210n, 5n));
  assert.deepEqual([...array.read(1)].slice(0, 8), [0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe]);
  assert.equal(array.read(3)[0], 5);
});

test("one index or offset outside the map or entry, or not aligned, rejects the call before any store", (t) => {
  const array = openArray(t);
  const one = at(1, 1);
  assert.throws(() => array.storeWords32(at(1, ENTRIES), at(0, 0), one), RangeError);
  assert.throws(() => array.storeWords32(at(1, 1), at(0, SIZE), one), RangeError);
  assert.throws(() => array.storeWords32(at(1, 1), at(0, 2), one), RangeError);
  assert.throws(() => array.storeWords32(at(1, 1), at(0, 0xfffffffc), one), RangeError);
  assert.throws(() => array.storeWords64(at(1, 1), at(0, 8), BigUint64Array.of(1n, 1n)), RangeError);
  assert.throws(() => array.writeBodies(at(1, ENTRIES), Uint8Array.of(1, 1)), RangeError);
  assert.throws(() => array.writeBodies(at(1, 1), Uint8Array.of(1, 1), SIZE), RangeError);
  assert.ok(array.read(0, ENTRIES).every((byte) => byte === 0));
});

test("different counts, a wrong array type and a closed mapping are rejected", (t) => {
  const array = openArray(t);
  assert.throws(() => array.storeWords32(at(1), at(0, 0), at(1)), RangeError);
  assert.throws(() => array.writeBodies(at(1, 2), Uint8Array.of(1, 2, 3)), RangeError);
  assert.throws(() => array.writeBodies(at(), Uint8Array.of(1)), RangeError);
  const wrong = BigUint64Array.of(1n) as unknown as Uint32Array;
  assert.throws(() => array.storeWords32(at(1), at(0), wrong), { code: "ERR_INVALID_ARG_TYPE" });
  array.close();
  assert.throws(() => array.storeWords32(at(1), at(0), at(1)), { code: "EBADF" });
  assert.throws(() => array.writeBodies(at(1), Uint8Array.of(1)), { code: "EBADF" });
});
