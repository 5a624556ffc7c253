import assert from "node:assert/strict";
import { test } from "node:test";
import { checkDocstrings, countDocs, docsTable, raisedFloors } from "./docstrings.js";
import { withFiles } from "./testing/index.js";

const SOURCE = `
/** Has one. */
export function one(): void {}
export function two(): void {}
/**
 * Has one.
 */
export const three = () => 3;
export const four = function () {};
export const five = 5;
function six(): void {}
// Is none.
export async function seven(): Promise<void> { six(); }
export interface Thing {
  /** Has one. */
  readonly a: string;
  readonly b: string;
  /** Has one. */
  c(): void;
  (): void;
}
interface Hidden { readonly d: string }
export type Use = Hidden;
/** */
export function eight(): void {}
`;
const TEST = "export function inTest(): void {}\n";
const docs = withFiles(
  {
    "libs/a/src/x.ts": SOURCE,
    "libs/a/src/x.test.ts": TEST,
    "libs/a/src/testing/y.ts": TEST,
    "libs/b/src/x.ts": "export {};",
  },
  countDocs,
);

test("exported functions and members of exported interfaces count, with a comment that says something or without", () => {
  const { functions, members, missing } = docs.get("libs/a") ?? {};
  assert.deepEqual(functions, { all: 6, documented: 2 });
  assert.deepEqual(members, { all: 3, documented: 2 });
  assert.deepEqual(missing, [
    "libs/a/src/x.ts:4 two",
    "libs/a/src/x.ts:9 four",
    "libs/a/src/x.ts:13 seven",
    "libs/a/src/x.ts:17 Thing.b",
    "libs/a/src/x.ts:25 eight",
  ]);
  assert.match(docsTable(docs), /libs\/a .*functions 2\/6 33 % .*members 2\/3 66 %\nlibs\/b .*100 %.*\nall .*2\/6/);
});

test("a share below its floor, a package without a floor, and a floor without a package are findings", () => {
  const floors = { "libs/a": { functions: 33, members: 66 }, "libs/b": { functions: 100, members: 100 } };
  assert.deepEqual(checkDocstrings(docs, floors), []);
  const higher = { ...floors, "libs/a": { functions: 34, members: 67 } };
  assert.deepEqual(
    checkDocstrings(docs, higher).map((finding) =>
      /^libs\/a: \d+ % of its ([\w ]+) have .* floor is (\d+)/.exec(finding)?.slice(1),
    ),
    [
      ["exported functions", "34"],
      ["members of exported interfaces", "67"],
    ],
  );
  assert.match(checkDocstrings(docs, { "libs/a": floors["libs/a"] })[0] ?? "", /^libs\/b: has no floor/);
  assert.match(checkDocstrings(docs, { ...floors, "libs/c": floors["libs/a"] })[0] ?? "", /^libs\/c: .* is no package/);
});

test("floors are raised, never lowered, and those of packages that are gone are removed", () => {
  const floors = { "libs/a": { functions: 20, members: 90 }, "libs/c": { functions: 1, members: 1 } };
  assert.deepEqual(raisedFloors(docs, floors), {
    "libs/a": { functions: 33, members: 90 },
    "libs/b": { functions: 100, members: 100 },
  });
});
