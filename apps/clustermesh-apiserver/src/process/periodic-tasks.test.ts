import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { systemClock } from "@isthmus/model";
import { silentLogger } from "@isthmus/observe";
import { nextTurn } from "@isthmus/runtime";
import { until } from "@isthmus/testing";
import { createPeriodicTasks, type PeriodicTasksOptions } from "./periodic-tasks.js";

function keeper(
  t: TestContext,
  task: PeriodicTasksOptions<string>["task"],
  options: Partial<PeriodicTasksOptions<string>> = {},
) {
  const made = createPeriodicTasks(
    { name: "test", atOnce: 2, ...options, task },
    { clock: systemClock, log: silentLogger },
  );
  const stop = new AbortController();
  const running = made.run(stop.signal);
  t.after(async () => {
    stop.abort();
    await running;
  });
  return made;
}

test("many triggers of an object are one run, and a trigger during a run causes another run", async (t) => {
  const runs: string[] = [];
  let release: () => void = () => undefined;
  const k = keeper(t, async (key) => {
    runs.push(key);
    if (runs.length === 1)
      await new Promise<void>((resolve) => {
        release = resolve;
      });
    return undefined;
  });
  for (let i = 0; i < 10; i++) k.trigger("a");
  await until("it runs", () => runs.length === 1);
  k.trigger("a");
  k.trigger("b");
  await until("another one runs beside it", () => runs.includes("b"));
  release();
  await until("it runs again", () => runs.filter((key) => key === "a").length === 2);
  assert.equal(runs.length, 3);
});

test("objects that keep failing are retried, and do not delay the others", async (t) => {
  const runs = new Map<string, number>();
  const k = keeper(t, async (key) => {
    runs.set(key, (runs.get(key) ?? 0) + 1);
    if (key.startsWith("bad")) throw new Error("refused");
    return undefined;
  });
  for (let i = 0; i < 20; i++) k.trigger(`bad-${i}`);
  await until("all have failed, and some twice", () => [...runs.values()].some((count) => count > 1));
  assert.equal(runs.size, 20);
  const before = [...runs.values()].reduce((sum, count) => sum + count, 0);
  for (let i = 0; i < 50; i++) k.trigger(`good-${i}`);
  await until("the good ones are done", () => [...runs.keys()].filter((key) => key.startsWith("good")).length === 50);
  const after = [...runs].reduce((sum, [key, count]) => (key.startsWith("bad") ? sum + count : sum), 0);
  assert.ok(after - before <= 20, `${after - before} attempts of the failing ones meanwhile`);
});

test("an object whose task never ends occupies one slot only", async (t) => {
  const done = new Set<string>();
  const k = keeper(t, async (key, signal) => {
    if (key === "stuck") await new Promise((_, reject) => signal.addEventListener("abort", reject, { once: true }));
    done.add(key);
    return undefined;
  });
  k.trigger("stuck");
  for (let i = 0; i < 20; i++) k.trigger(`${i}`);
  await until("the others are done", () => done.size === 20);
});

test("continuously triggered objects do not block a retry, and hanging retries leave them a slot", async (t) => {
  const failed = new Set<string>();
  let [good, hanging] = [0, 0];
  const k = keeper(t, async (key, signal) => {
    if (!key.startsWith("bad")) {
      good++;
      k.trigger(key === "even" ? "odd" : "even");
      await nextTurn();
      return undefined;
    }
    if (!failed.has(key)) {
      failed.add(key);
      throw new Error("refused");
    }
    hanging++;
    return new Promise((_, reject) => signal.addEventListener("abort", reject, { once: true }));
  });
  for (const key of ["bad-1", "bad-2", "even"]) k.trigger(key);
  await until("a retry", () => hanging > 0);
  const before = good;
  await until("the others go on", () => good > before + 1000);
  assert.equal(hanging, 1);
});

test("a task is run again after the time that it returns", async (t) => {
  let runs = 0;
  const k = keeper(t, async () => (++runs < 3 ? 10 : undefined));
  k.trigger("a");
  await until("three runs", () => runs === 3);
});
