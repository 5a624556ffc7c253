import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { makeReport } from "../judge/report.js";
import type { AgentRun, KillRun } from "../judge/runs.js";
import { DENIED, madeSample, madeTraffic } from "../judge/testing/made-traffic.js";
import { reportHtml } from "./html.js";
import { reportJson } from "./json.js";
import { reportText } from "./table.js";

const marks = [{ at: 1000, kind: "fault" as const, text: "SIGKILL of <all>" }];
const kill: KillRun = {
  name: "kill",
  window: { from: 0, to: 18_000 },
  injected: 1000,
  marks,
  killed: 3,
  struck: 1040,
  noneReady: 2000,
  firstReady: 6000,
};
const agent: AgentRun = {
  name: "agent",
  window: { from: 0, to: 10_000 },
  injected: 0,
  marks: [],
  oldPid: 1,
  newPid: null,
};
const traffic = madeTraffic(
  { until: 1000, gets: "east" },
  { until: 1020, gets: "reset" },
  { until: 6020, gets: "west" },
  { until: 18_000, gets: "east", readyAt: 6000 },
);
const moves = [
  { at: 0, moved: 3 },
  { at: 1500, moved: 43 },
];
const base = { traffic, denied: DENIED, moves, begun: 0, startedAt: "2026-01-01T00:00:00.000Z", problem: null };
const good = makeReport({ ...base, runs: [kill] });
const bad = makeReport({ ...base, runs: [kill, agent], problem: "etcd: it broke" });

describe("the report", () => {
  test("JSON has the fields that scripts rely on", () => {
    const [fault] = JSON.parse(reportJson(good)).faults;
    assert.deepEqual(Object.keys(fault).slice(0, 8), [
      "name",
      "sent",
      "ok",
      "lost",
      "longestGapMs",
      "firstRemoteMs",
      "share",
      "passed",
    ]);
    assert.deepEqual(fault.lost, { refused: 0, reset: 2, timeout: 0, starved: 0, other: 0 });
    assert.deepEqual([fault.moved, fault.slowestConnectMs], [40, 1]);
    assert.equal(JSON.parse(reportJson(good)).seconds[1].moved, 40);
    const nobody = { attempts: 10, succeeded: 0, successesS: [], successes: [] };
    assert.deepEqual(JSON.parse(reportJson(good)).deniedClient, nobody);
    assert.equal(JSON.parse(reportJson(good)).passed, true);
    assert.equal(JSON.parse(reportJson(bad)).passed, false);
  });

  test("text shows the timeline, a row per fault, and what failed", () => {
    const text = reportText(bad);
    assert.match(text, /1\.00 {2}fault {2}SIGKILL of <all>/);
    assert.match(text, /1\.00 {2}lost {3}2 reset$/m);
    assert.match(text, /^kill +1800 +1798 +2 reset +40 +1 ms +30 ms +22 ms +72\.2 % +27\.8 % +passed$/m);
    assert.match(text, /^FAILED agent: proof: new pid: 1, then none$/m);
    assert.match(text, /^Clients that the policy does not admit.*: 10 connects, 0 established$/m);
    assert.match(text, /Ended early: etcd: it broke\nNot passed\./);
    assert.match(reportText(good), /^kill: what was lost had been established.*\nAll passed/m);
  });

  test("text says when a client that is not admitted connected", () => {
    const denied = [[madeSample(120, "west")], [madeSample(3, "other")]];
    const report = makeReport({ ...base, denied, runs: [kill] });
    assert.match(reportText(report), /: 2 connects, 1 established, due at 1\.20 s$/m);
    const { successesS, successes } = JSON.parse(reportJson(report)).deniedClient;
    assert.deepEqual(successesS, [1.2]);
    assert.deepEqual(successes, [{ connectMs: 1, outcome: "ok", answeredBy: "west/west-1" }]);
  });

  test("HTML is one page that loads nothing and escapes what it shows", () => {
    const html = reportHtml(bad);
    assert.doesNotMatch(html, /<(script|link|img)|https?:|url\((?!#)/);
    assert.match(html, /SIGKILL of &lt;all&gt;/);
    assert.equal(html.match(/class="east"/g)?.length, 14);
    assert.match(html, /✗ not passed/);
    assert.match(html, /<polyline points="[\d., ]+" class="moved">/);
    assert.doesNotMatch(reportHtml(makeReport({ ...base, moves: [], runs: [kill] })), /<polyline/);
  });
});
