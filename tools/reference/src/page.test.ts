import assert from "node:assert/strict";
import { test } from "node:test";
import { enumValues } from "./enums.js";
import { table, withGenerated, wrap } from "./page.js";

test("only what stands between the comments is replaced; a page without them is an error", () => {
  const page = "# x\n\n<!-- begin: made by `make generate` -->\nold\n<!-- end -->\nafter\n";
  const once = withGenerated(page, "\nnew\n");
  assert.equal(once, "# x\n\n<!-- begin: made by `make generate` -->\n\nnew\n\n<!-- end -->\nafter\n");
  assert.equal(withGenerated(once, "new"), once);
  assert.throws(() => withGenerated("# x\n", "new"), /Cannot find the comments/);
});

test("prose is wrapped at 110 characters with its prefix; a longer word has a line of its own", () => {
  const lines = wrap("word ".repeat(50), "> ").split("\n");
  assert.ok(lines.every((line) => line.startsWith("> word") && line.length <= 110));
  assert.equal(lines.join(" ").match(/word/g)?.length, 50);
  assert.deepEqual(wrap(`a ${"b".repeat(200)} c`).split("\n"), ["a", "b".repeat(200), "c"]);
  assert.equal(wrap(""), "");
});

test("a cell keeps its bars", () => {
  assert.equal(table(["A", "B"], [["x|y", "z"]]), "| A | B |\n|---|---|\n| x\\|y | z |");
});

test("the values of a generated enum are read with their texts", () => {
  const source = `export const MetricHelp: ReadonlyMap<number, X> = new Map([
  [0, { name: "none", text: "not counted" }],
  [4, { name: "no_backend", text: "refused: \\"x\\" has none" }],
]);
`;
  assert.deepEqual(enumValues(source, "Metric"), [
    { name: "none", text: "not counted" },
    { name: "no_backend", text: 'refused: "x" has none' },
  ]);
  assert.throws(() => enumValues(source, "Verdict"), /Cannot find enum "Verdict"/);
});
