import assert from "node:assert/strict";
import { test } from "node:test";
import { type Logger, silentLogger } from "@isthmus/observe";
import { createFakeClock } from "@isthmus/testing";
import { createRefusalLog } from "./refusal-log.js";

test("the first event is logged at once, a flood in few lines with the number of unlogged events", async () => {
  const clock = createFakeClock();
  const lines: { readonly event: unknown; readonly unlogged: number }[] = [];
  const log: Logger = {
    ...silentLogger,
    warn: (_, { event, unlogged } = {}) => void lines.push({ event, unlogged: Number(unlogged) }),
  };
  const { refused } = createRefusalLog({ clock, log });
  refused(2, "unknown-kind");
  refused(2, "gap");
  assert.deepEqual(
    lines.map(({ event }) => event),
    ["unknown-kind", "gap"],
  );
  for (let i = 0; i < 10_000; i++) {
    refused(i, "unknown-kind");
    await clock.advance(60);
  }
  assert.ok(lines.length < 40, `${lines.length} lines in ten minutes`);
  const total = lines
    .filter(({ event }) => event === "unknown-kind")
    .reduce((sum, { unlogged }) => sum + 1 + unlogged, 0);
  assert.ok(total > 8000 && total <= 10_001, `${total} of 10,001`);
});
