import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { whole } from "../../testing/whole.js";
import { createIndexPool } from "../rows/index-pool.js";
import { createLinePool, type Run } from "./line-pool.js";

test("index 0 and adopted indexes are never given out, and the last index is", () => {
  const pool = whole(createIndexPool(5, new Set([2])));
  const taken = [pool.take(), pool.take(), pool.take(), pool.take()];
  assert.deepEqual([new Set(taken.slice(0, 3)), taken[3]], [new Set([1, 3, 4]), undefined]);
  pool.give(3);
  assert.deepEqual([pool.used, pool.take()], [3, 3]);
});

test("runs never overlap or cross a segment, and all lines can be given back", () => {
  const action = fc.record({ take: fc.boolean(), lines: fc.integer({ min: 1, max: 6 }), which: fc.nat() });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 120 }), (actions) => {
      const pool = createLinePool(16, 2, [{ line: 5, lines: 2 }]);
      const held: Run[] = [];
      const lines = new Set([5, 6]);
      for (const { take, lines: count, which } of actions) {
        if (take) {
          const line = pool.take(count);
          if (line === undefined) continue;
          assert.equal(Math.floor(line / 16), Math.floor((line + count - 1) / 16));
          for (let i = line; i < line + count; i++) {
            assert.ok(!lines.has(i) && i < 32);
            lines.add(i);
          }
          held.push({ line, lines: count });
        } else if (held.length > 0) {
          const [run] = held.splice(which % held.length, 1);
          if (run === undefined) continue;
          pool.give(run);
          for (let i = run.line; i < run.line + run.lines; i++) lines.delete(i);
        }
        assert.equal(pool.used, lines.size);
      }
      for (const run of held) pool.give(run);
      assert.equal(pool.take(16), 16); // the second segment is whole again
    }),
  );
});

test("a new segment has room for the longest run", () => {
  const pool = createLinePool(8, 1, []);
  assert.equal(pool.take(8), 0);
  assert.equal(pool.take(3), undefined);
  pool.grow();
  assert.deepEqual([pool.take(3), pool.capacity, pool.used], [8, 16, 11]);
});
