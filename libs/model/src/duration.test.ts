import assert from "node:assert/strict";
import { test } from "node:test";
import { durationMs } from "./duration.js";

test("durations have a number and a unit", () => {
  const texts = ["500ms", "90s", "2.5m", "1h", "0s"];
  assert.deepEqual(texts.map(durationMs), [500, 90_000, 150_000, 3_600_000, 0]);
});

test("other texts are not durations", () => {
  for (const text of ["", "5", "s", "-1s", "1 s", "1d", "1e3s", "1m30s", ".5s"])
    assert.equal(durationMs(text), undefined, text);
});
