import assert from "node:assert/strict";
import { test } from "node:test";
import { failedLines } from "./ip.js";

test("each failed line of a batch is reported with the error of ip", () => {
  const lines = ["route add a", "route add b", "route add c", "route add d"];
  const stderr = [
    "RTNETLINK answers: Network is unreachable",
    "Command failed -:2",
    'Error: any valid prefix is expected rather than "d".',
    "More words.",
    "Command failed -:4",
    "",
  ].join("\n");
  assert.deepEqual(failedLines(lines, stderr), [
    { line: "route add b", reason: "RTNETLINK answers: Network is unreachable" },
    { line: "route add d", reason: 'Error: any valid prefix is expected rather than "d".' },
  ]);
  assert.deepEqual(failedLines(lines, ""), []);
});
