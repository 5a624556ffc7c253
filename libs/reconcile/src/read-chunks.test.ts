import assert from "node:assert/strict";
import { test } from "node:test";
import { readChunks } from "./read-chunks.js";

test("chunks are every entry once, in order, the last one shorter", () => {
  const map = Uint8Array.from({ length: 7 }, (_, i) => 10 + i);
  const port = { maxEntries: 7, read: (index: number, count = 1) => map.subarray(index, index + count) };
  const chunks = [...readChunks(port, 3)];
  assert.deepEqual(
    chunks.map(({ first, count, bytes }) => [first, count, [...bytes]]),
    [
      [0, 3, [10, 11, 12]],
      [3, 3, [13, 14, 15]],
      [6, 1, [16]],
    ],
  );
  assert.deepEqual([chunks[1]?.view.getUint8(0), chunks[1]?.view.byteLength], [13, 3]);
  assert.deepEqual([...readChunks({ ...port, maxEntries: 0 })], []);
});
