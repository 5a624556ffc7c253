import assert from "node:assert/strict";
import { test } from "node:test";
import { table } from "./table.js";

test("columns are as wide as their widest cell, rows end without blanks, and empty cells stay empty", () => {
  const rows = [
    ["shop/cart", "", "3"],
    ["a", "west", ""],
  ];
  assert.equal(
    table(rows, ["SERVICE", "CLUSTER", "N"]),
    "SERVICE    CLUSTER  N\nshop/cart           3\na          west\n",
  );
  assert.equal(table([["a"], ["bb", "c"]]), "a\nbb  c\n");
  assert.equal(table([]), "");
});

test("a cell with control characters takes the width of what is printed, and stays one line", () => {
  assert.equal(
    table([
      ["a\nb", "x"],
      ["long name", "y"],
    ]),
    "a\\u{a}b    x\nlong name  y\n",
  );
});
