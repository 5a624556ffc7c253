import assert from "node:assert/strict";
import { test } from "node:test";
import { runSpecs } from "./run-specs.js";
import type { SpecRun } from "./suite/spec-run.js";

const run = (name: string, passed = true): SpecRun => ({ name, passed, seconds: 1, reason: passed ? "" : "why" });

/** Runs "a", "b", "c" by the suite's `run`; returns what was said, too. */
async function ran(suiteRun: (name: string, signal: AbortSignal) => Promise<SpecRun>, stop = new AbortController()) {
  const said: string[] = [];
  const modules = { say: (sentence: string) => void said.push(sentence), signal: stop.signal };
  let cleanUps = 0;
  const cleanUp = async () => {
    cleanUps += 1;
    if (cleanUps === 2) throw new Error("no answer");
  };
  const result = await runSpecs({ run: suiteRun, cleanUp }, ["a", "b", "c"], modules);
  return { ...result, said, cleanUps };
}

test("all specs run in order, also after one that fails", async () => {
  const { runs, problem, said, cleanUps } = await ran(async (name) => run(name, name !== "b"));
  assert.deepEqual(
    runs.map(({ name, passed }) => [name, passed]),
    [
      ["a", true],
      ["b", false],
      ["c", true],
    ],
  );
  assert.deepEqual([problem, cleanUps], ["", 1]);
  assert.deepEqual(said, ["1 of 3  passed 1 s  a", "2 of 3  FAILED 1 s  b", "  why", "3 of 3  passed 1 s  c"]);
});

test("one that cannot be run ends the run, and what ran before counts", async () => {
  const { runs, problem } = await ran(async (name) => {
    if (name === "b") throw new Error("no report");
    return run(name);
  });
  assert.deepEqual([runs.length, problem], [1, 'Cannot run "b": no report; cannot remove what it left: no answer']);
});

test("an abort ends the run, and what the killed spec left is removed", async () => {
  const stop = new AbortController();
  const { runs, problem } = await ran(async (name, signal) => {
    if (name === "b") stop.abort(new Error("interrupted"));
    signal.throwIfAborted();
    return run(name);
  }, stop);
  assert.deepEqual([runs.length, problem], [1, "interrupted; cannot remove what it left: no answer"]);
});
