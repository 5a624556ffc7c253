import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { createStatusReports } from "./status-reports.js";

function watched(t: TestContext) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let [now, status] = [0, "A"];
  const reported: string[] = [];
  const reports = createStatusReports({ clock: { now: () => now }, status: () => status }, () => reported.push(status));
  return {
    reports,
    reported,
    set(next: string) {
      status = next;
      reports.check();
    },
    advance(ms: number) {
      now += ms;
      t.mock.timers.tick(ms);
    },
  };
}

test("the first change is reported at once, an equal status never", (t) => {
  const { reports, reported, set, advance } = watched(t);
  set("A");
  reports.check();
  advance(60_000);
  reports.check();
  assert.deepEqual(reported, ["A"]);
});

test("from the third change in quick succession on, changes are one report when the pace allows it", (t) => {
  const { reported, set, advance } = watched(t);
  for (const status of ["A", "B", "C", "D"]) set(status);
  assert.deepEqual(reported, ["A", "B"]);
  advance(5_000);
  assert.deepEqual(reported, ["A", "B", "D"]);
});

test("a postponed change is reported even if it was reverted", (t) => {
  const { reported, set, advance } = watched(t);
  for (const status of ["A", "B", "C", "B"]) set(status);
  advance(5_000);
  assert.deepEqual(reported, ["A", "B", "B"]);
});

test("a closed one drops the postponed report", (t) => {
  const { reports, reported, set, advance } = watched(t);
  for (const status of ["A", "B", "C"]) set(status);
  reports.close();
  advance(5_000);
  assert.deepEqual(reported, ["A", "B"]);
});
