import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { checkFolders, folderTable } from "./folders.js";
import type { Package } from "./layers.js";
import type { LayerTable } from "./table.js";

/** An app of files with the relative imports of each. */
function app(files: Readonly<Record<string, readonly string[]>>, folder = "apps/x"): Package {
  const sources = new Map(
    Object.entries(files).map(([path, imports]) => [
      `${folder}/src/${path}`,
      imports.map((specifier) => `import "${specifier}";`).join("\n"),
    ]),
  );
  const none = new Set<string>();
  return { folder, name: "x", declared: none, dependencies: none, references: [], sources };
}

const DOWN = {
  "main.ts": ["./upper/u.js"],
  "upper/u.ts": ["../lower/l.js", "node:fs", "@x/y/z.js", "./v.js"],
  "lower/l.ts": [],
};
const TABLE: LayerTable = new Map([
  ["apps/x/src/lower", []],
  ["apps/x/src/upper", ["lower"]],
  ["apps/x/src", ["upper"]],
]);

const findings = (files: Readonly<Record<string, readonly string[]>>, table?: LayerTable) => {
  const packages = [app(files)];
  return checkFolders(packages, table ?? folderTable(packages));
};

describe("folders", () => {
  test("imports that go down and are in the table are no finding", () => {
    assert.deepEqual(findings(DOWN, TABLE), []);
  });

  test("the written table has each folder below those that it imports", () => {
    assert.deepEqual([...folderTable([app(DOWN)])], [...TABLE]);
    const deep = { "a/a.ts": ["../z/z.js"], "z/z.ts": ["../z/sub/s.js"], "z/sub/s.ts": [] };
    assert.deepEqual([...folderTable([app(deep)]).keys()], ["apps/x/src/z/sub", "apps/x/src/z", "apps/x/src/a"]);
  });

  test("a cycle of two folders is a finding that names a file for each import", () => {
    const files = { "a/one.ts": ["../b/two.js"], "b/two.ts": ["../a/one.js"] };
    assert.deepEqual(findings(files), [
      "apps/x: a → b → a: folders must import in one direction; see apps/x/src/a/one.ts, apps/x/src/b/two.ts",
    ]);
  });

  test("a longer cycle, one with a folder of its own, and one through src are found, each once", () => {
    const long = { "a/a.ts": ["../b/b.js"], "b/b.ts": ["../c/c.js"], "c/c.ts": ["../a/a.js"] };
    assert.match(findings(long).join("\n"), /^apps\/x: a → b → c → a: [^\n]*$/);
    const own = { "a/a.ts": ["./sub/s.js"], "a/sub/s.ts": ["../other.js"], "a/other.ts": [] };
    assert.match(findings(own).join("\n"), /^apps\/x: a → a\/sub → a: [^\n]*$/);
    const root = { "main.ts": ["./a/a.js"], "a/a.ts": ["../helper.js"], "helper.ts": [] };
    assert.match(findings(root).join("\n"), /^apps\/x: \. → a → \.: [^\n]*$/);
  });

  test("two cycles of one app are two findings, even if one leads to the other; a folder that only leads to them is in neither", () => {
    const pair = (x: string, y: string) => ({ [`${x}/f.ts`]: [`../${y}/f.js`], [`${y}/f.ts`]: [`../${x}/f.js`] });
    const leading = { "a/g.ts": ["../c/f.js"], "aa/f.ts": ["../a/f.js", "../c/f.js"] };
    const found = findings({ ...pair("a", "b"), ...pair("c", "d"), ...leading });
    assert.deepEqual(
      found.map((finding) => finding.split(" ")[1]),
      ["a", "c"],
    );
  });

  test("tests and testing folders may import anything and have no row", () => {
    const files = { ...DOWN, "lower/l.test.ts": ["../upper/u.js"], "lower/testing/t.ts": ["../../main.js"] };
    assert.deepEqual(findings(files, TABLE), []);
  });

  test("an import beside the table, a row without an import, and folders of only one side are findings", () => {
    const rows = (...changed: readonly (readonly [string, readonly string[]])[]) => new Map([...TABLE, ...changed]);
    assert.deepEqual(findings(DOWN, rows(["apps/x/src/upper", []])), [
      'apps/x/src/upper/u.ts: imports from "lower", which the table of folders does not allow',
    ]);
    assert.deepEqual(findings(DOWN, rows(["apps/x/src/lower", ["y"]])), [
      'apps/x/src/lower: the table of folders allows "y", no file imports from it',
    ]);
    assert.match(findings(DOWN, rows(["apps/x/src/gone", []])).join("\n"), /^apps\/x\/src\/gone: in the table/);
    const { "lower/l.ts": lower, ...rest } = DOWN;
    assert.match(findings({ ...rest, "lower/l.ts": lower, "new/n.ts": [] }, TABLE).join("\n"), /^\S+\/new: not in/);
  });

  test("only apps are checked", () => {
    const files = { "a/one.ts": ["../b/two.js"], "b/two.ts": ["../a/one.js"] };
    assert.deepEqual(checkFolders([app(files, "libs/x")], new Map()), []);
    assert.deepEqual([...folderTable([app(files, "libs/x")])], []);
  });
});
