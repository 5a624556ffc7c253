import assert from "node:assert/strict";
import { test } from "node:test";
import { checkWords } from "./words.js";

const found = (path: string, text: string) => checkWords(new Map([[path, text]]));

test("a retired word is found with its line and what to write", () => {
  assert.deepEqual(found("libs/a.ts", "fine\n// the own cluster's records\n"), [
    'libs/a.ts:2: "own cluster" is retired (docs/glossary.md): local cluster',
  ]);
  assert.equal(found("bpf/lib/a.h", "return FOUND_NONE;").length, 1);
  assert.equal(found("apps/a.ts", "const a: PodKeeper = keeper;").length, 0, "part of another word");
});

test("what tells of the past may use it, and so may the glossary", () => {
  for (const path of ["CHANGELOG.md", "docs/adr/0001-x.md", "docs/glossary.md"])
    assert.deepEqual(found(path, "the own cluster was barred"), []);
});
