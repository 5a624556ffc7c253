import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { quote } from "./env.js";

test("a shell restores the quoted text", () => {
  for (const value of ["/a/b:c", "with space", "it's", "$HOME`x`", ""]) {
    assert.equal(execFileSync("sh", ["-c", `printf %s ${quote(value)}`], { encoding: "utf8" }), value);
  }
});
