import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { appliesTo, checkDocs } from "./docs.js";
import { globToRegExp } from "./glob.js";

const files = [
  "README.md",
  "docs/design/sync.md",
  "docs/adr/0001-a.md",
  "libs/kube/src/list.ts",
  "libs/kube/src/list.test.ts",
];
const INDEX = ["docs/design/README.md", "[sync](sync.md)"] as const;
const check = (path: string, text: string) => checkDocs(files, new Map([INDEX, [path, text]]));

describe("documents", () => {
  test("links to files and folders are checked", () => {
    assert.deepEqual(check("README.md", "[a](docs/design/sync.md#x) [b](libs/kube/) [c](https://x.y) [d](#here)"), []);
    assert.deepEqual(check("docs/design/x.md", "[a](../../README.md)").slice(0, 1), [
      "docs/design/x.md: says nowhere what it applies to",
    ]);
    assert.deepEqual(check("README.md", "[a](docs/none.md)"), [
      'README.md: links to "docs/none.md", which does not exist',
    ]);
    assert.deepEqual(check("README.md", "`[a](docs/none.md)`\n```\n[b](none)\n```\n"), []);
  });

  test("globs of a design page match files", () => {
    const page = (glob: string) => `---\napplies-to:\n  - "libs/kube/**"\n  - ${glob}\n---\n# x\n`;
    assert.deepEqual(appliesTo(page("README.md")), ["libs/kube/**", "README.md"]);
    assert.deepEqual(check("docs/design/sync.md", page("libs/*/src/*.ts")), []);
    assert.match(check("docs/design/sync.md", page("libs/none/**"))[0] ?? "", /matches no file/);
  });

  test("the index of the design pages has every one", () => {
    const page = "---\napplies-to:\n  - README.md\n---\n# x\n";
    assert.deepEqual(check("docs/design/other.md", page), [
      'docs/design/README.md: has no link to "docs/design/other.md"',
    ]);
  });

  test("a decision names a test that exists", () => {
    assert.deepEqual(check("docs/adr/0001-a.md", "Confirmed by: `libs/kube/src/list.test.ts`"), []);
    assert.match(check("docs/adr/0001-a.md", "Confirmed by: `libs/none.test.ts`")[0] ?? "", /does not exist/);
    assert.match(check("docs/adr/0001-a.md", "Confirmed by: hope")[0] ?? "", /names no test/);
    assert.match(check("docs/adr/0003-a.md", "Confirmed by: `libs/kube/src/list.test.ts`")[0] ?? "", /out of turn/);
  });

  test("globs", () => {
    assert.ok(globToRegExp("a/**").test("a/b/c.ts"));
    assert.ok(globToRegExp("a/**/c.ts").test("a/c.ts"));
    assert.ok(globToRegExp("a/{b,c}/*.ts").test("a/c/x.ts"));
    assert.ok(!globToRegExp("a/*.ts").test("a/b/c.ts"));
    assert.ok(!globToRegExp("a.ts").test("axts"));
  });
});
