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

test("the holder writes Events at once; another instance writes kept ones once, when it becomes the holder", () => {
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

test("old Events are dropped, and the newest thousand are kept", async () => {
  const { clock, leadership, written, report } = harness(false);
  report("old");
  await clock.advance(40_000);
  for (let i = 0; i < 1500; i++) report(String(i));
  leadership.set(true);
  assert.deepEqual([written.length, written[0], written.at(-1)], [1000, "500", "1499"]);
});
