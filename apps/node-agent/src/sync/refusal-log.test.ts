import assert from "node:assert/strict";
import { test } from "node:test";
import { type Logger, silentLogger } from "@isthmus/observe";
import { createFakeClock } from "@isthmus/testing";
import { createRefusalLog } from "./refusal-log.js";

test("an event is logged at once, a flood of it in few lines with the number of unlogged ones", async () => {
  const clock = createFakeClock();
  const lines: { readonly event: unknown; readonly unsaid: number }[] = [];
  const log: Logger = {
    ...silentLogger,
    warn: (_, { event, unsaid } = {}) => void lines.push({ event, unsaid: Number(unsaid) }),
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
  const said = lines.filter(({ event }) => event === "unknown-kind").reduce((sum, { unsaid }) => sum + 1 + unsaid, 0);
  assert.ok(said > 8000 && said <= 10_001, `${said} of 10,001`);
});
