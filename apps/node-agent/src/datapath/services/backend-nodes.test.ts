import assert from "node:assert/strict";
import { test } from "node:test";
import { addressWords } from "@isthmus/clustermesh";
import { parseAddress } from "@isthmus/model";
import type { Slices } from "@isthmus/runtime";
import { type NodeName, nodeName } from "../../desired/nodes/nodes.js";
import { createBackendNodes } from "./backend-nodes.js";
import { clusterWord, createBackendRows, portWord, Word } from "./backend-rows.js";

const COUNT = 600;
const BIG: NodeName = nodeName(1, "big");
const SMALL: NodeName = nodeName(1, "small");

/** `COUNT` rows of the node `big`, whose index is 1; `small` has 2. */
function setUp() {
  const rows = createBackendRows(1024);
  const indexes = new Map<NodeName | undefined, number>([
    [BIG, 1],
    [SMALL, 2],
  ]);
  const nodes = createBackendNodes({
    rows,
    maxEntries: 1024,
    indexOf: (name) => indexes.get(name) ?? 0,
    setWord: rows.set,
  });
  const fill = (row: number) =>
    rows.fill(row, {
      id: row,
      portWord: portWord(80, 6),
      node: 0,
      clusterWord: clusterWord(1, 0),
      address: addressWords(parseAddress("10.0.0.1")),
    });
  for (let row = 1; row <= COUNT; row++) {
    fill(row);
    nodes.set(row, "big");
  }
  /** Number of rows whose node has this index. */
  const countOf = (index: number) =>
    Array.from({ length: COUNT }, (_, i) => rows.get(i + 1, Word.node)).filter((each) => each === index).length;
  return { nodes, indexes, fill, countOf };
}

/** Runs the work; `between` once, after its first slice. */
function interrupted(work: Slices<void>, between: () => void): void {
  assert.equal(work.next().done, false, "one slice is not all of it");
  between();
  for (let turns = 0; work.next().done !== true; turns++) assert.ok(turns < COUNT);
}

test("the rows of a node get its new index, and lose one that is freed", () => {
  const { nodes, indexes, countOf } = setUp();
  indexes.set(BIG, 3);
  interrupted(nodes.update([BIG]), () => undefined);
  assert.deepEqual([countOf(1), countOf(3)], [0, COUNT]);
  interrupted(nodes.clear([3]), () => undefined);
  assert.deepEqual([countOf(3), countOf(0)], [0, COUNT]);
});

for (const what of ["update", "clear"] as const) {
  test(`rows that are freed between two slices of ${what}, and used again for another node, stay that node's`, () => {
    const { nodes, indexes, fill, countOf } = setUp();
    if (what === "update") indexes.set(BIG, 3);
    interrupted(what === "update" ? nodes.update([BIG]) : nodes.clear([1]), () => {
      for (let row = 1; row <= COUNT; row++) {
        nodes.forget(row);
        if (row % 2 === 1) continue;
        fill(row);
        nodes.set(row, "small");
      }
    });
    assert.equal(countOf(2), COUNT / 2);
    indexes.set(SMALL, 4);
    for (const _ of nodes.update([SMALL]));
    assert.deepEqual([countOf(2), countOf(4)], [0, COUNT / 2]);
  });
}
