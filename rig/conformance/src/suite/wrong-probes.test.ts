import assert from "node:assert/strict";
import { test } from "node:test";
import { wrongProbes } from "./wrong-probes.js";

/** What the suite prints for a connection that it found otherwise. */
function wrong(from: string, to: string, found: "ALLOWED" | "BLOCKED"): string {
  return `  I1130 09:10:35.8 22409 probe.go:101] Validation of ${from} -> ${to} FAILED !!!
  I1130 09:10:35.8 22409 probe.go:102] error <nil>
  I1130 09:10:35.8 22409 probe.go:106] Expected pod connection was instead ${found} --- run 'kubectl exec'\n`;
}

test("wrong connections are counted by kind, without those of a pod to itself", () => {
  const output =
    wrong("x/a", "x/b", "ALLOWED") +
    wrong("x/b", "x/b", "ALLOWED") +
    wrong("x/c", "x/b", "ALLOWED") +
    wrong("x/c", "y/a", "BLOCKED");
  assert.equal(wrongProbes(output), "2 allowed that should be blocked, 1 blocked that should be allowed");
  assert.equal(wrongProbes("Starting probe from pod a to 10.96.0.7\n"), "");
});

test("only the last try counts", () => {
  const first = wrong("x/a", "x/b", "ALLOWED") + wrong("x/a", "y/a", "BLOCKED");
  const output = `${first}failed first probe 2 wrong results ... retrying (SECOND TRY)\n${wrong("x/a", "x/b", "ALLOWED")}`;
  assert.equal(wrongProbes(output), "1 allowed that should be blocked");
});
