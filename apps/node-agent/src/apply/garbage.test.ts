import assert from "node:assert/strict";
import { test } from "node:test";
import { createCollector } from "../apply/garbage.js";

function bench() {
  const log: string[] = [];
  const waiting: string[] = [];
  const state = { graceFails: false, freeFails: false };
  const collector = createCollector({
    gracePeriod: async () => {
      if (state.graceFails) throw new Error("refused");
      log.push("grace");
    },
    take: () => {
      const name = waiting.shift();
      if (name === undefined) return undefined;
      return {
        free() {
          if (state.freeFails) throw new Error("half way");
          log.push(`free ${name}`);
        },
      };
    },
    freed: () => void log.push("freed"),
    failed: () => void log.push("failed"),
    broken: () => void log.push("broken"),
  });
  return { log, waiting, state, collector };
}

test("each round waits for its own grace period; what found no room is retried once, after the last", async () => {
  const { log, waiting, collector } = bench();
  waiting.push("a", "b");
  await collector.settled();
  assert.deepEqual(log, ["grace", "free a", "grace", "free b", "freed"]);
});

test("a round whose grace period failed is kept and retried", async () => {
  const { log, waiting, state, collector } = bench();
  state.graceFails = true;
  waiting.push("a");
  await assert.rejects(collector.settled(), /refused/);
  state.graceFails = false;
  await collector.settled();
  assert.deepEqual(log, ["failed", "grace", "free a", "freed"]);
});

test("no round begins while an apply writes, and waiting rounds run after it", async () => {
  const { log, waiting, collector } = bench();
  collector.pause();
  waiting.push("a");
  collector.kick();
  await collector.settled();
  assert.equal(log.length, 0);
  collector.resume();
  collector.kick();
  collector.kick();
  waiting.push("b");
  await collector.settled();
  assert.deepEqual(
    log.filter((line) => line.startsWith("free ")),
    ["free a", "free b"],
  );
});

test("after a round failed half way, neither it nor a later round runs", async () => {
  const { log, waiting, state, collector } = bench();
  state.freeFails = true;
  waiting.push("a", "b");
  await assert.rejects(collector.settled(), /half way/);
  state.freeFails = false;
  await assert.rejects(collector.settled(), /half way/);
  assert.deepEqual(log, ["grace", "broken"]);
});
