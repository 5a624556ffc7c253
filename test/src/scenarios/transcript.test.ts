import assert from "node:assert/strict";
import { test } from "node:test";
import { parseTranscript, printTranscript } from "./transcript.js";

test("a parsed transcript prints as the same text", () => {
  const text =
    "Two clusters.\n\n== cluster east 1\n== cluster west 2\n\n== apply east\nkind: Service\n\nkind: b\n\n== maps east\n";
  assert.equal(printTranscript(parseTranscript(text)), text);
});

test("an unknown verb, or a verb with the wrong number of words, is refused", () => {
  for (const bad of ["== explode east", "== apply", "== cluster east"]) {
    assert.throws(() => parseTranscript(bad), { code: "SCENARIO" });
  }
});
