import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { judge } from "./judge.js";
import { makeReport } from "./report.js";
import type { AgentRun, ApiserverRun, EtcdRun, FaultRun, KillRun, ScaleDownRun, WipeRun } from "./runs.js";
import { DENIED, madeSample, madeTraffic, withSample } from "./testing/made-traffic.js";
import type { Traffic } from "./traffic.js";

const window = { from: 0, to: 12_000 };
const base = { window, injected: 1000, marks: [] };
const toWest = { text: "no ready address", to: "west", requestedAt: 1000, seen: 1500, until: 12_000 };

const scaleDown: ScaleDownRun = { ...base, name: "scale-down", move: toWest };
const agent: AgentRun = { ...base, name: "agent", oldPid: 10, newPid: 11 };
const apiserver: ApiserverRun = { ...base, name: "apiserver", refusedMs: 9800 };
const wipe: WipeRun = {
  ...base,
  name: "wipe",
  storeBefore: "a",
  storeAfter: "b",
  liveAt: 3000,
  sliceAt: 5000,
  mapsAt: 5060,
};
const etcd: EtcdRun = {
  ...base,
  name: "etcd",
  refusedMs: 10_100,
  moves: [
    { text: "3 ready", to: "east", requestedAt: 1200, seen: 5000, until: 7000 },
    { text: "none ready", to: "west", requestedAt: 7000, seen: 7400, until: 12_000 },
  ],
};
const kill: KillRun = {
  ...base,
  name: "kill",
  killed: 3,
  struck: 1040,
  noneReady: 2000,
  firstReady: 6000,
  window: { from: 0, to: 18_000 },
};

const eastThenWest = madeTraffic({ until: 1520, gets: "east" }, { until: 12_000, gets: "west" });
const west = madeTraffic({ until: 12_000, gets: "west" });
const backAndForth = madeTraffic(
  { until: 5100, gets: "west" },
  { until: 7410, gets: "east" },
  { until: 12_000, gets: "west" },
);
const killTraffic = madeTraffic(
  { until: 1000, gets: "east" },
  { until: 1020, gets: "reset" },
  { until: 6020, gets: "west" },
  { until: 18_000, gets: "east", readyAt: 6000 },
);

function failing(run: FaultRun, traffic: Traffic): readonly string[] {
  const result = judge(run, traffic);
  assert.equal(result.passed, false);
  return result.checks.filter((check) => !check.passed).map((check) => check.text);
}

describe("judge", () => {
  test("a run without errors passes every fault", () => {
    for (const [run, traffic] of [
      [scaleDown, eastThenWest],
      [agent, west],
      [etcd, backAndForth],
      [apiserver, west],
      [wipe, west],
      [kill, killTraffic],
    ] as const) {
      const result = judge(run, traffic);
      assert.deepEqual(
        result.checks.filter((check) => !check.passed),
        [],
        run.name,
      );
      assert.equal(result.passed, true);
    }
  });

  test("the figures are computed from the samples", () => {
    const result = judge(kill, killTraffic);
    assert.equal(result.sent, 1800);
    assert.equal(result.ok, 1798);
    assert.deepEqual(result.lost, { refused: 0, reset: 2, timeout: 0, starved: 0, other: 0 });
    assert.equal(result.longestGapMs, 30);
    assert.equal(result.firstRemoteMs, 22);
    assert.deepEqual(result.share, { east: 0.7219, west: 0.2781 });
  });

  test("one loss of any kind fails a fault that must lose nothing", () => {
    for (const loss of ["refused", "reset", "timeout", "starved", "other"]) {
      for (const run of [agent, apiserver, wipe])
        assert.deepEqual(failing(run, withSample(west, 700, loss)), ["nothing lost", "west serves all throughout"]);
      assert.deepEqual(failing(scaleDown, withSample(eastThenWest, 120, loss)), ["nothing lost"]);
      assert.equal(failing(etcd, withSample(backAndForth, 300, loss))[0], "nothing lost");
    }
  });

  test("too few or too many requests fail", () => {
    const thin = { ...west, samples: west.samples.filter((s) => s.number % 50 !== 0) };
    assert.deepEqual(failing(agent, thin), ["sent equals rate × duration within 1 %", "nothing lost"]);
    const thick = { ...west, samples: west.samples.flatMap((s) => (s.number % 50 === 0 ? [s, s] : [s])) };
    assert.deepEqual(failing(agent, thick), ["sent equals rate × duration within 1 %"]);
    assert.deepEqual(failing(agent, { rate: 100, samples: [], stalls: [] }), [
      "sent equals rate × duration within 1 %",
      "nothing lost",
      "west serves all throughout",
    ]);
  });

  test("an answer from east fails a fault during which west must serve alone", () => {
    const mixed = withSample(west, 700, "east");
    for (const run of [agent, apiserver, wipe]) assert.deepEqual(failing(run, mixed), ["west serves all throughout"]);
  });

  test("a gap in the samples fails and is reported as the longest gap", () => {
    const gap = { ...west, samples: west.samples.filter((s) => s.due < 4000 || s.due >= 4500) };
    assert.deepEqual(failing(agent, gap), ["sent equals rate × duration within 1 %", "nothing lost"]);
    assert.equal(judge(agent, gap).longestGapMs, 510);
  });

  test("a request without a sample does not count as answered", () => {
    for (const number of [0, 700, 1199]) {
      const torn = { ...west, samples: west.samples.filter((s) => s.number !== number) };
      assert.deepEqual(failing(agent, torn), ["nothing lost"]);
      const check = judge(agent, torn).checks.find(({ text }) => text === "nothing lost");
      assert.equal(check?.detail, "0 of 1199 lost, 1 without an account");
    }
    // A gap outside the window does not matter.
    const longer = madeTraffic({ until: 13_000, gets: "west" });
    const torn = { ...longer, samples: longer.samples.filter((s) => s.number !== 1200) };
    assert.equal(judge(agent, torn).passed, true);
  });

  test("a window under 10 s fails", () => {
    assert.deepEqual(failing({ ...agent, window: { from: 0, to: 9990 } }, west), ["window of 10 s or more"]);
  });

  test("a missing proof fails", () => {
    assert.deepEqual(failing({ ...agent, newPid: null }, west), ["proof: new pid"]);
    assert.deepEqual(failing({ ...agent, newPid: 10 }, west), ["proof: new pid"]);
    assert.deepEqual(failing({ ...apiserver, refusedMs: 8999 }, west), ["proof: port refused 9 s or more"]);
    assert.deepEqual(failing({ ...etcd, refusedMs: 0 }, backAndForth), ["proof: port refused 9 s or more"]);
    assert.deepEqual(failing({ ...wipe, storeAfter: "a" }, west), ["proof: store id changed"]);
    assert.deepEqual(failing({ ...wipe, storeAfter: null }, west), ["proof: store id changed"]);
    assert.deepEqual(failing({ ...kill, killed: 2 }, killTraffic), ["proof: all NotReady together"]);
    assert.ok(failing({ ...kill, noneReady: null }, killTraffic).includes("proof: all NotReady together"));
    assert.ok(
      failing({ ...scaleDown, move: { ...toWest, seen: null } }, eastThenWest).includes(
        "proof: east has no ready address",
      ),
    );
  });

  test("traffic that moves late or only partly fails", () => {
    const late = madeTraffic({ until: 2600, gets: "east" }, { until: 12_000, gets: "west" });
    assert.equal(failing(scaleDown, late).length, 2);
    assert.deepEqual(failing(scaleDown, withSample(eastThenWest, 900, "east")), [
      'west serves all from 1 s after "no ready address"',
    ]);
    const never = madeTraffic({ until: 12_000, gets: "east" });
    assert.equal(judge(scaleDown, never).firstRemoteMs, null);
    assert.equal(failing(scaleDown, never).length, 2);
    assert.ok(failing(etcd, west).some((text) => text.includes("first answer from east")));
  });

  test("after a wipe, changes must propagate again", () => {
    assert.deepEqual(failing({ ...wipe, liveAt: null }, west), ["head is LIVE again"]);
    assert.equal(failing({ ...wipe, mapsAt: 6001 }, west).length, 1);
    assert.equal(failing({ ...wipe, mapsAt: null }, west).length, 1);
    assert.equal(failing({ ...wipe, sliceAt: null }, west).length, 1);
  });

  test("kill fails when a connect is lost, or when too many connections or late ones end", () => {
    const text = "no connect lost; of those established before, 5 or fewer";
    for (const loss of ["refused", "timeout", "starved", "other"])
      assert.deepEqual(failing(kill, withSample(killTraffic, 102, loss)), [text]);
    assert.deepEqual(failing(kill, withSample(killTraffic, 1500, "reset")), [text]);
    const six = madeTraffic(
      { until: 1000, gets: "east" },
      { until: 1060, gets: "reset" },
      { until: 6020, gets: "west" },
      { until: 18_000, gets: "east", readyAt: 6000 },
    );
    assert.deepEqual(failing(kill, six), [text]);
    const lost = judge(kill, withSample(killTraffic, 102, "refused")).checks.find(({ passed }) => !passed);
    assert.equal(lost?.detail, "1 and 2 of 1800");
  });

  test("kill fails when traffic moves late, is mixed, or does not return", () => {
    const late = madeTraffic(
      { until: 1350, gets: "east" },
      { until: 6020, gets: "west" },
      { until: 18_000, gets: "east", readyAt: 6000 },
    );
    const away = "west serves all until the first east pod is ready";
    assert.deepEqual(failing(kill, late), ["first answer from west ≤ 300 ms after the kill"]);
    assert.deepEqual(failing(kill, withSample(killTraffic, 400, "east")), [away]);
    const notBack = madeTraffic({ until: 1000, gets: "east" }, { until: 18_000, gets: "west" });
    assert.deepEqual(failing(kill, notBack), [away, "east serves 99 % or more from 1 s after it is Ready"]);
  });

  test("a server that is ready may answer before the demo's own watch event, and no other one", () => {
    const answeredAt = (readyAt: number | null) => ({
      ...killTraffic,
      samples: killTraffic.samples.map((sample) => (sample.number === 595 ? madeSample(595, "east", readyAt) : sample)),
    });
    assert.equal(judge(kill, answeredAt(5950)).passed, true);
    const early = "no answer by a server that was not ready yet";
    for (const readyAt of [5952, null])
      assert.deepEqual(failing(kill, answeredAt(readyAt)), [
        early,
        "west serves all until the first east pod is ready",
      ]);
  });

  test("of concurrent requests, one due later may connect before the one that west answered first", () => {
    const early = { ...kill, struck: 900 };
    const slow = (traffic: Traffic) => ({
      ...traffic,
      samples: traffic.samples.map((sample) => (sample.number === 102 ? { ...sample, end: 1042 } : sample)),
    });
    const first = madeTraffic(
      { until: 1020, gets: "east" },
      { until: 1030, gets: "west" },
      { until: 1050, gets: "east" },
      { until: 6020, gets: "west" },
      { until: 18_000, gets: "east", readyAt: 6000 },
    );
    assert.equal(judge(early, slow(withSample(first, 104, "west"))).passed, true);
    const check = judge(early, slow(withSample(first, 105, "east"))).checks.find(({ passed }) => !passed);
    assert.equal(check?.detail, "494 of 495; the first other, due 8 ms after its begin: east");
  });
});

describe("report", () => {
  const input = { traffic: west, denied: DENIED, moves: [], begun: 0, startedAt: "", problem: null };
  test("the report passes only when every fault passed and the demo did not end early", () => {
    assert.equal(makeReport({ ...input, runs: [agent, apiserver] }).passed, true);
    assert.equal(makeReport({ ...input, runs: [agent, { ...apiserver, refusedMs: 0 }] }).passed, false);
    assert.equal(makeReport({ ...input, runs: [agent], problem: "lab" }).passed, false);
    assert.equal(makeReport({ ...input, runs: [] }).passed, false);
  });

  test("a client that is not admitted must try in each cluster, and never connect", () => {
    const [one = [], other = []] = DENIED;
    const passedWith = (...denied: (typeof one)[]) => makeReport({ ...input, runs: [agent], denied }).passed;
    assert.equal(passedWith(one, other), true);
    assert.equal(passedWith(one, []), false);
    assert.equal(passedWith(), false);
    assert.equal(passedWith(one, [...other, madeSample(99, "west")]), false);
    const reset = madeSample(99, "reset");
    const { deniedClient } = makeReport({ ...input, runs: [agent], denied: [one, [reset]] });
    assert.deepEqual(deniedClient, { attempts: 6, succeeded: 1, successes: [reset] });
  });

  test("the report counts answers per second", () => {
    const { seconds } = makeReport({
      ...input,
      traffic: killTraffic,
      moves: [
        { at: 900, moved: 4 },
        { at: 1900, moved: 9 },
        { at: 2900, moved: 11 },
      ],
      runs: [kill],
    });
    assert.deepEqual(seconds.slice(0, 3), [
      { at: 0, east: 100, west: 0, lost: 0, moved: 0 },
      { at: 1, east: 0, west: 98, lost: 2, moved: 5 },
      { at: 2, east: 0, west: 100, lost: 0, moved: 2 },
    ]);
    assert.equal(seconds.length, 18);
  });
});
