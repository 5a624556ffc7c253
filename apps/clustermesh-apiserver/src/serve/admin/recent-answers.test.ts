import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock } from "@isthmus/testing";
import { createRecentAnswers } from "./recent-answers.js";

test("an answer is kept until it expires or is deleted", async () => {
  const clock = createFakeClock();
  const answers = createRecentAnswers<string>(10, clock);
  answers.set("a", "yes", 1000);
  answers.set("b", "no", 2000);
  assert.equal(answers.get("a"), "yes");
  await clock.advance(1000);
  assert.deepEqual([answers.get("a"), answers.get("b")], [undefined, "no"]);
  answers.delete("b");
  assert.equal(answers.get("b"), undefined);
});

test("a full cache evicts the oldest answers one by one", () => {
  const answers = createRecentAnswers<number>(3, createFakeClock());
  for (let i = 0; i < 5; i++) answers.set(`${i}`, i, 1000);
  assert.deepEqual(
    ["0", "1", "2", "3", "4"].map((id) => answers.get(id)),
    [undefined, undefined, 2, 3, 4],
  );
});
