import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Stall } from "@isthmus/demo";
import { type FakeBehaviour, FakeWorld } from "@isthmus/demo/testing";
import { runRound } from "./drills.js";
import { DRILLS } from "./faults/drills.js";
import { makeReport, type RunReport, reportJson, reportText } from "./report.js";

/** A round on a mesh in memory, whose client is starved in the first `starved` runs. */
async function round(names: readonly string[], ways: FakeBehaviour = {}, starved = 0, wanted = 1) {
  const world = new FakeWorld({ lingerMs: 0, ...ways });
  await world.until(5000);
  const runs: RunReport[] = [];
  let reads = 0;
  const log = {
    started: () => ({ mono: 0, wall: 0, rate: 100 }),
    samples: () => world.samples,
    completeUntil: () => Number.POSITIVE_INFINITY,
    stalls: (): readonly Stall[] => {
      reads += 1;
      // Read once for each run.
      return reads <= starved ? [{ from: world.now() - 160, to: world.now() - 10 }] : [];
    },
  };
  const drills = DRILLS.filter(({ name }) => names.includes(name));
  const signal = new AbortController().signal;
  await runRound({ drills, round: 1, wanted, runs, world, log }, { onRun: () => undefined, signal });
  return makeReport({ wanted, faults: drills.map(({ name }) => name), runs, problems: [] });
}

const failures = ({ runs }: { readonly runs: readonly RunReport[] }) =>
  runs.flatMap((run) => run.failures.map((failure) => `${run.fault}: ${failure}`));

describe("drills", () => {
  test("a mesh that moves connects passes all of them, and loses what was established at most", async () => {
    const report = await round(DRILLS.map(({ name }) => name));
    assert.deepEqual(failures(report), []);
    assert.equal(report.passed, true);
    assert.deepEqual(
      report.runs.map(({ fault }) => fault),
      DRILLS.map(({ name }) => name),
    );
    for (const run of report.runs.filter(({ fault }) => fault !== "all-dead"))
      assert.deepEqual([run.refused, run.timedOut, run.other], [0, 0, 0], run.fault);
    assert.ok((report.runs.find(({ fault }) => fault === "all-dead")?.refused ?? 0) > 200);
  });

  test("connects that are not moved fail", async () => {
    for (const fault of ["kill", "kill-none", "kill-remote", "dark"]) {
      const report = await round([fault], { movesNothing: true });
      assert.match(failures(report)[0] ?? "", /no connect lost/, fault);
      assert.equal(report.passed, false);
    }
  });

  test("a fault that was not put in force does not pass", async () => {
    assert.match(failures(await round(["dark"], { holdsNothing: true }))[0] ?? "", /proof: silent/);
  });

  test("a mesh that does not follow ends the round with what is missing", async () => {
    const ways = { mapLagMs: Number.POSITIVE_INFINITY };
    await assert.rejects(round(["kill"], ways), /^Error: Cannot go on: .*(did not follow|all backends in the maps)/);
  });

  test("a run in which the client was starved is reported and repeated", async () => {
    const report = await round(["rollout"], {}, 1);
    assert.deepEqual(
      report.runs.map(({ starved }) => starved),
      ["the client did not run for 150 ms", null],
    );
    assert.equal(report.passed, true);
    assert.match(reportText(report), /^Not counted: rollout of round 1: the client did not run for 150 ms$/m);
  });

  test("it is not repeated for ever, and then not passed", async () => {
    const report = await round(["rollout"], {}, 99, 2);
    assert.equal(report.runs.length, 3);
    assert.equal(report.passed, false);
    assert.match(reportText(report), /^rollout +0 of 2 /m);
  });
});

test("the table has median and worst, the JSON every run", () => {
  const run: RunReport = {
    ...{ fault: "kill", round: 1, at: "", load: 1, stallMs: 0, starved: null, passed: true, failures: [] },
    ...{ requests: 1500, refused: 0, timedOut: 0, ended: 1, other: 0, slowestConnectMs: 5.5, slowestRefusalMs: null },
  };
  const worse = { ...run, round: 2, refused: 2, slowestConnectMs: 80, passed: false, failures: ["no connect lost: 2"] };
  const report = makeReport({ wanted: 2, faults: ["kill"], runs: [run, worse], problems: [] });
  const text = reportText(report);
  assert.match(text, /^kill +2 of 2 +1500 +2 \/ 2 +0 \/ 0 +1 \/ 1 +0 \/ 0 +80 \/ 80 ms +none +0 \/ 0 ms +1 of 2$/m);
  assert.match(text, /^FAILED kill of round 2: no connect lost: 2$/m);
  const json = JSON.parse(reportJson(report, {}));
  assert.deepEqual([json.passed, json.runs.length, json.faults[0].slowestConnectMs.worst], [false, 2, 80]);
});
