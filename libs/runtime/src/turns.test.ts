import assert from "node:assert/strict";
import { test } from "node:test";
import { inSlices, inTurns, nextTurn, type Slices } from "./turns.js";

/** Spins for so many milliseconds. */
function busy(ms: number): void {
  const ends = performance.now() + ms;
  while (performance.now() < ends);
}

test("other work runs between the slices of long work, and the result is that of the last one", async () => {
  const order: string[] = [];
  function* work(): Slices<string> {
    order.push("one");
    busy(10);
    yield;
    order.push("two");
    return "result";
  }
  const result = inTurns(work());
  setImmediate(() => order.push("other"));
  await Promise.resolve();
  assert.deepEqual(order, ["one"]);
  assert.equal(await result, "result");
  await nextTurn();
  assert.deepEqual(order, ["one", "two", "other"]);
});

test("long work ends many turns, however often it yields", async () => {
  let others = 0;
  const timer = setInterval(() => others++, 1);
  const sum = await inTurns(
    (function* (): Slices<number> {
      let total = 0;
      for (let i = 0; i < 50; i++) {
        busy(1);
        total += i;
        yield;
      }
      return total;
    })(),
  );
  clearInterval(timer);
  assert.equal(sum, 1225);
  assert.ok(others >= 3, String(others));
});

test("pieces of work that follow one another share the time of a turn", async () => {
  function* work(): Slices<void> {
    busy(1);
    yield;
  }
  let [turns, done] = [0, false];
  const count = (): void => {
    turns++;
    if (!done) setImmediate(count);
  };
  setImmediate(count);
  for (let i = 0; i < 20; i++) await inTurns(work());
  done = true;
  assert.ok(turns >= 5, String(turns));
});

test("an error of a slice ends the work", async () => {
  function* work(): Slices<void> {
    yield;
    throw new Error("unreadable");
  }
  await assert.rejects(inTurns(work()), /unreadable/);
});

test("each item is taken once, with a yield after every n-th", () => {
  const taken: number[] = [];
  const yields = [...inSlices([1, 2, 3, 4, 5], 2, (item) => taken.push(item))].length;
  assert.deepEqual([taken, yields], [[1, 2, 3, 4, 5], 2]);
});
