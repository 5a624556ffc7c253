import assert from "node:assert/strict";
import { test } from "node:test";
import { labError } from "../plan/errors.js";
import { downEach, sized } from "./up-down.js";

function io() {
  const lines = { out: [] as string[], err: [] as string[] };
  const text = () => ({ out: lines.out.join(""), err: lines.err.join("") });
  return { text, io: { out: (t: string) => void lines.out.push(t), err: (t: string) => void lines.err.push(t) } };
}

test("a lab that cannot be removed does not stop the removal of the others", async () => {
  const down = async ({ name = "" } = {}) => {
    if (name === "b") throw labError("LEFT_OVER", "Cannot remove it");
    return true;
  };
  const { text, io: to } = io();
  assert.equal(await downEach(["a", "b", "c"], down, false, to), 1);
  assert.match(text().out, /^Lab "a" is gone after \S+ s\nLab "c" is gone after \S+ s\n$/);
  assert.equal(text().err, 'Lab "b": Cannot remove it\n');
});

test("nothing to remove is a success; JSON has a row for each lab", async () => {
  const none = io();
  assert.equal(await downEach([], async () => true, false, none.io), 0);
  assert.equal(none.text().out, "There is no lab\n");
  const some = io();
  assert.equal(await downEach(["a"], async () => true, true, some.io), 0);
  assert.deepEqual(
    JSON.parse(some.text().out).map(({ name, existed }: { name: string; existed: boolean }) => [name, existed]),
    [["a", true]],
  );
});

test("one node is printed in the singular", () => {
  const nodes = (count: number) => Array.from({ length: count }, () => ({}) as never);
  assert.equal(sized({ name: "east", nodes: nodes(1) }), "east (1 node)");
  assert.equal(sized({ name: "east", nodes: nodes(2) }), "east (2 nodes)");
});
