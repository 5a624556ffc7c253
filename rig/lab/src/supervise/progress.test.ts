import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { labError } from "../plan/errors.js";
import { createProgress, type ProgressEvent } from "./progress.js";

function recorded(explain = async () => "its log") {
  const progress = createProgress(explain);
  const events: ProgressEvent[] = [];
  progress.follow((event) => void events.push(event));
  return { progress, events, types: () => events.map(({ type }) => type) };
}

const broken = async () => {
  throw labError("STEP_FAILED", "It broke");
};

describe("progress", () => {
  test("a late listener gets all events; the first failure is the last event", async () => {
    const { progress, events } = recorded();
    await progress.step("one", async () => undefined);
    await assert.rejects(progress.step("two", broken), /It broke/);
    await assert.rejects(progress.step("three", broken));
    progress.ready();
    const late: ProgressEvent[] = [];
    progress.follow((event) => void late.push(event));
    assert.deepEqual(late, events);
    const last = events.at(-1);
    assert.deepEqual(last?.type === "failed" && [last.step, last.sentence, last.log], ["two", "It broke", "its log"]);
  });

  test("failures caused by taking the lab down are not reported, also when they happen just before", async () => {
    const { progress, types } = recorded(async () => {
      progress.close();
      return "";
    });
    await assert.rejects(progress.step("one", broken));
    assert.deepEqual(types(), ["begin"]);
  });
});
