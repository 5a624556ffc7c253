import assert from "node:assert/strict";
import { test } from "node:test";
import { createTimeline } from "./history.js";

test("a value is admissible from when it is asked for until a later one is in force", () => {
  const timeline = createTimeline("a");
  const b = timeline.ask("b", 10);
  const c = timeline.ask("c", 20);
  assert.deepEqual(timeline.admissible("east", 0, 9), ["a"]);
  assert.deepEqual(timeline.admissible("east", 5, 15), ["a", "b"]);
  assert.deepEqual(timeline.admissible("east", 21, 22), ["a", "b", "c"]);
  b.inForceAt.set("east", 22);
  assert.deepEqual(timeline.admissible("east", 21, 30), ["a", "b", "c"]);
  assert.deepEqual(timeline.admissible("east", 22, 30), ["b", "c"]);
  assert.deepEqual(timeline.admissible("west", 22, 30), ["a", "b", "c"], "each cluster for itself");
  c.inForceAt.set("east", 25);
  assert.deepEqual(timeline.admissible("east", 24, 30), ["b", "c"]);
  assert.deepEqual(timeline.admissible("east", 25, 30), ["c"]);
  assert.equal(timeline.latest, "c");
});

test("a version that is known to be in force ends all before it", () => {
  const timeline = createTimeline(0);
  timeline.ask(1, 1);
  timeline.ask(2, 2).inForceAt.set("east", 3);
  assert.deepEqual(timeline.admissible("east", 3, 4), [2]);
});
