import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createRowsByNode } from "./rows-by-node.js";

test("after any sequence of additions and removals each node has its rows", () => {
  const move = fc.tuple(fc.integer({ min: 1, max: 9 }), fc.constantFrom("a", "b", "c", undefined));
  fc.assert(
    fc.property(fc.array(move), (moves) => {
      const lists = createRowsByNode<string>(10);
      const nodeOf = new Map<number, string>();
      for (const [row, node] of moves) {
        const before = nodeOf.get(row);
        if (before !== undefined) lists.remove(before, row);
        nodeOf.delete(row);
        if (node === undefined) continue;
        lists.add(node, row);
        nodeOf.set(row, node);
      }
      for (const node of ["a", "b", "c"]) {
        const expected = [...nodeOf].flatMap(([row, own]) => (own === node ? [row] : []));
        assert.deepEqual([...lists.rowsOf(node)].sort(), expected.sort());
      }
    }),
  );
});

test("rows may be removed while they are listed", () => {
  const lists = createRowsByNode<string>(10);
  for (const row of [1, 2, 3]) lists.add("a", row);
  const seen: number[] = [];
  for (const row of lists.rowsOf("a")) {
    lists.remove("a", row);
    lists.add("b", row);
    seen.push(row);
  }
  assert.deepEqual([seen.sort(), [...lists.rowsOf("a")], [...lists.rowsOf("b")].sort()], [[1, 2, 3], [], [1, 2, 3]]);
});
