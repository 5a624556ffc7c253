/** Compares output with `testdata/<name>.txt`; `UPDATE_GOLDEN=1` writes the file instead, so that reviewers read the diff. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";

export function golden(name: string, actual: string): void {
  const file = new URL(`../../testdata/${name}.txt`, import.meta.url);
  if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(file, actual);
  assert.equal(
    actual,
    readFileSync(file, "utf8"),
    `output differs from testdata/${name}.txt (UPDATE_GOLDEN=1 rewrites it)`,
  );
}
