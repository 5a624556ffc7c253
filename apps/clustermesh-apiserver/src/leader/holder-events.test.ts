import assert from "node:assert/strict";
import { test } from "node:test";
import { type ReportedEvent, SERVICES } from "@isthmus/kube";
import { createFakeClock } from "@isthmus/testing";
import { createFakeLeadership } from "../testing/fake-leadership.js";
import { createHolderEvents } from "./holder-events.js";

function harness(holds: boolean) {
  const [clock, leadership] = [createFakeClock(), createFakeLeadership(holds)];
  const written: string[] = [];
  const recorder = { report: ({ note }: ReportedEvent) => void written.push(note), settled: async () => undefined };
  const events = createHolderEvents(recorder, { leadership, clock });
  const report = (note: string) =>
    events.report({
      resource: SERVICES,
      name: "cart",
      uid: "u1",
      type: "Warning",
      reason: "Test",
      action: "Test",
      note,
    });
  return { clock, leadership, written, report };
}

test("the holder reports at once; what another one kept comes when it becomes the holder, and once", () => {
  const { leadership, written, report } = harness(true);
  report("a");
  leadership.set(false);
  report("b");
  assert.deepEqual(written, ["a"]);
  leadership.set(true);
  leadership.set(false);
  leadership.set(true);
  assert.deepEqual(written, ["a", "b"]);
});

test("what is old is the earlier holder's by then, and the newest thousand are kept", async () => {
  const { clock, leadership, written, report } = harness(false);
  report("old");
  await clock.advance(40_000);
  for (let i = 0; i < 1500; i++) report(String(i));
  leadership.set(true);
  assert.deepEqual([written.length, written[0], written.at(-1)], [1000, "500", "1499"]);
});
