import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createPageSize, PAGE_BYTES } from "./page-size.js";

test("pages grow to their size in bytes, or to the most keys, and follow what comes", () => {
  const size = createPageSize(2000);
  const seen = [size.keys];
  for (let i = 0; i < 4; i++) {
    size.came(size.keys, size.keys * 200);
    seen.push(size.keys);
  }
  assert.deepEqual(seen, [100, 400, 1600, 2000, 2000]);
  size.came(2000, 2000 * 100_000);
  assert.equal(size.keys, 20);
  size.came(20, 20 * 10 * PAGE_BYTES);
  assert.equal(size.keys, 1, "one key at least");
});

test("an answer that is too large is asked for again with a quarter, down to one key", () => {
  const size = createPageSize(2000);
  const asked = [];
  do asked.push(size.keys);
  while (size.tooLarge());
  assert.deepEqual(asked, [100, 25, 6, 1]);
});

test("a page always asks for 1 to the maximum of keys", () => {
  const page = fc.tuple(fc.nat(3000), fc.nat(2 ** 31));
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5000 }), fc.array(page), (most, pages) => {
      const size = createPageSize(most);
      for (const [keys, bytes] of pages) {
        size.came(keys, bytes);
        assert.ok(Number.isInteger(size.keys) && size.keys >= 1 && size.keys <= most);
      }
    }),
  );
});
