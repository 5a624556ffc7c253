import assert from "node:assert/strict";
import { test } from "node:test";
import { madeSample } from "../judge/testing/made-traffic.js";
import { isQuiet, lastOutcomes } from "./warm-up.js";

const log = (...gets: readonly string[]) => ({
  started: () => ({ mono: 0, wall: 0, rate: 100 }),
  samples: () => gets.map((each, number) => madeSample(number, each)),
});
const times = (count: number, gets: string): string[] => Array.from({ length: count }, () => gets);

test("quiet means that the last three whole seconds are without a loss", () => {
  assert.equal(isQuiet(log(...times(299, "east"))), false);
  assert.equal(isQuiet(log(...times(300, "east"))), true);
  assert.equal(isQuiet(log("refused", ...times(300, "east"))), true);
  assert.equal(isQuiet(log(...times(300, "east"), "refused")), false);
});

test("the outcomes of the last requests are counted for the error", () => {
  assert.equal(lastOutcomes(log()), "no request yet");
  assert.equal(lastOutcomes(log("refused", ...times(200, "east"), "timeout")), "1 refused, 200 ok, 1 timeout");
});
