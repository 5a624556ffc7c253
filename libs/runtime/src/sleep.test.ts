import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "@isthmus/model";
import { sleep } from "./sleep.js";

test("a sleep ends after its time, at once when its signal is aborted, and with the error of a broken clock", async () => {
  await sleep(systemClock, 1);
  const stop = new AbortController();
  const slept = sleep(systemClock, 1e6, stop.signal);
  stop.abort();
  await slept;
  await sleep(systemClock, 1e6, stop.signal);
  await assert.rejects(sleep({ delay: () => Promise.reject(new Error("broken")) }, 1), /broken/);
});
