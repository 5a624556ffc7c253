import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "@isthmus/model";
import { silentLogger } from "@isthmus/observe";
import { createFakeClock, until } from "@isthmus/testing";
import { createPeriodicTask } from "./periodic-task.js";

function keeper(task: () => Promise<void>, everyMs = 60_000) {
  const controller = new AbortController();
  const made = createPeriodicTask({ name: "test", everyMs, task }, { clock: systemClock, log: silentLogger });
  const running = made.run(controller.signal);
  return {
    ...made,
    trigger: made.trigger,
    get problem() {
      return made.problem;
    },
    async stop() {
      controller.abort();
      await running;
    },
  };
}

test("the task runs at the start and when triggered; many triggers are few runs", async () => {
  let runs = 0;
  const k = keeper(async () => {
    runs++;
  });
  await until("the first run", () => runs === 1);
  for (let i = 0; i < 100; i++) k.trigger();
  await until("another run", () => runs >= 2);
  await k.stop();
  assert.ok(runs <= 3, String(runs));
});

test("a failure is retried and reported as problem until it succeeds", async () => {
  let runs = 0;
  const k = keeper(async () => {
    if (++runs < 3) throw new Error("refused");
  });
  await until("the problem", () => k.problem === "refused");
  await until("done", () => runs === 3 && k.problem === undefined);
  await k.stop();
});

test("stopping does not wait for the next run", async () => {
  let release: () => void = () => undefined;
  let runs = 0;
  const k = keeper(() => {
    runs++;
    return new Promise((resolve) => {
      release = resolve;
    });
  });
  await until("running", () => runs === 1);
  const stopped = k.stop();
  release();
  await stopped;
});

test("repeated triggers run the task at growing intervals, and at once again after a quiet time", async () => {
  const clock = createFakeClock();
  const stop = new AbortController();
  let runs = 0;
  const task = async () => void runs++;
  const made = createPeriodicTask({ name: "test", everyMs: 60_000, task }, { clock, log: silentLogger });
  const running = made.run(stop.signal);
  for (let i = 0; i < 3000; i++) {
    made.trigger();
    await clock.advance(20);
  }
  assert.ok(runs >= 10 && runs <= 40, `${runs} runs in a minute`);
  await clock.advance(30_000);
  const before = runs;
  made.trigger();
  await clock.advance(0);
  assert.equal(runs, before + 1);
  stop.abort();
  await running;
});
