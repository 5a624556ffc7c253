import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createPageSize, PAGE_BYTES } from "./page-size.js";

test("pages grow to the target bytes or the maximum of keys, and follow the size of entries", () => {
  const size = createPageSize(2000);
  const sizes = [size.keys];
  for (let i = 0; i < 4; i++) {
    size.recordPage(size.keys, size.keys * 200);
    sizes.push(size.keys);
  }
  assert.deepEqual(sizes, [100, 400, 1600, 2000, 2000]);
  size.recordPage(2000, 2000 * 100_000);
  assert.equal(size.keys, 20);
  size.recordPage(20, 20 * 10 * PAGE_BYTES);
  assert.equal(size.keys, 1, "one key at least");
});

test("an answer that is too large is requested again with a quarter of the keys, down to one", () => {
  const size = createPageSize(2000);
  const requested = [];
  do requested.push(size.keys);
  while (size.shrink());
  assert.deepEqual(requested, [100, 25, 6, 1]);
});

test("a page always requests between 1 and the maximum of keys", () => {
  const page = fc.tuple(fc.nat(3000), fc.nat(2 ** 31));
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5000 }), fc.array(page), (most, pages) => {
      const size = createPageSize(most);
      for (const [keys, bytes] of pages) {
        size.recordPage(keys, bytes);
        assert.ok(Number.isInteger(size.keys) && size.keys >= 1 && size.keys <= most);
      }
    }),
  );
});
