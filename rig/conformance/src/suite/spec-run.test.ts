import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSpecRun } from "./spec-run.js";

const NAME = "[sig-network] Netpol should support allow-all policy [Feature:NetworkPolicy]";

/** A report as the suite writes it: every spec, and what is set up before them. */
function report(spec: object, setup: object = {}): string {
  const skipped = { ContainerHierarchyTexts: ["[sig-apps] Job"], LeafNodeText: "should run", State: "skipped" };
  return JSON.stringify([
    {
      SuiteDescription: "Kubernetes e2e suite",
      SpecReports: [
        {
          ContainerHierarchyTexts: null,
          LeafNodeType: "SynchronizedBeforeSuite",
          LeafNodeText: "",
          State: "passed",
          ...setup,
        },
        { LeafNodeType: "It", RunTime: 0, ...skipped },
        {
          ContainerHierarchyTexts: ["[sig-network] Netpol"],
          LeafNodeType: "It",
          LeafNodeText: "should support allow-all policy [Feature:NetworkPolicy]",
          State: "passed",
          RunTime: 21_145_000_000,
          ...spec,
        },
      ],
    },
  ]);
}

test("a spec that passes has no reason", () => {
  assert.deepEqual(parseSpecRun(report({}), NAME), { name: NAME, passed: true, seconds: 21, reason: "" });
});

test("one that fails has the first line of the message and its wrong connections", () => {
  const CapturedGinkgoWriterOutput =
    "Validation of x/a -> x/b FAILED !!!\nExpected blocked … instead ALLOWED --- run\n";
  const Failure = { Message: "Had 1 wrong results in reachability matrix\nmore" };
  assert.deepEqual(parseSpecRun(report({ State: "failed", Failure, CapturedGinkgoWriterOutput }), NAME), {
    name: NAME,
    passed: false,
    seconds: 21,
    reason: "Had 1 wrong results in reachability matrix (1 allowed that should be blocked)",
  });
});

test("one that ends in another way says which", () => {
  for (const State of ["timedout", "panicked", "interrupted", "skipped"]) {
    const run = parseSpecRun(report({ State, Failure: { Message: "why" } }), NAME);
    assert.deepEqual([run.passed, run.reason], [false, `${State}: why`]);
  }
});

test("a spec that did not run is an error with what kept it from running", () => {
  const setup = { State: "failed", Failure: { Message: "Error waiting for all pods to be running and ready" } };
  assert.throws(
    () => parseSpecRun(report({ State: "skipped" }, setup), NAME),
    /did not run: SynchronizedBeforeSuite: Error waiting for all pods/,
  );
  assert.throws(() => parseSpecRun(report({ State: "skipped" }), NAME), /did not run: the suite gives no reason/);
  assert.throws(() => parseSpecRun(report({}), "[sig-network] Other"), /Cannot find the spec/);
});
