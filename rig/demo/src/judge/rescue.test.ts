/** The judgement of faults whose connects are moved, or cannot be. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Sample } from "../samples/sample.js";
import { judge } from "./judge.js";
import type { ControlLostRun, DarkRun, FaultRun, HangRun, NodeDarkRun } from "./runs.js";
import { madeTraffic, withSample } from "./testing/made-traffic.js";
import type { Traffic } from "./traffic.js";

const base = { window: { from: 0, to: 14_000 }, injected: 1000, marks: [] };
const hang: HangRun = { ...base, name: "hang", suspended: 3, noneReady: 4500, firstReady: 10_000 };
const unreachable = { ...base, struck: 1200, lifted: 11_200 };
const nodeDark: NodeDarkRun = { ...unreachable, name: "node-dark", darkPods: ["west-2", "west-3"] };
const dark: DarkRun = { ...unreachable, name: "dark" };
const controlLost: ControlLostRun = {
  ...base,
  name: "control-lost",
  refusedMs: 9800,
  apiAnswers: false,
  liveAt: 12_000,
};

const east = madeTraffic({ until: 14_000, gets: "east" });
const west = madeTraffic({ until: 14_000, gets: "west" });
const KEPT = "no connect lost; of those established before, 5 or fewer";

/** The same traffic with some requests replaced: made of each number. */
function replaced(traffic: Traffic, numbers: readonly number[], make: (sample: Sample) => Sample): Traffic {
  return { ...traffic, samples: traffic.samples.map((each) => (numbers.includes(each.number) ? make(each) : each)) };
}

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from }, (_, n) => from + n);
}

/** Established, but without an answer until the deadline. */
function acceptedOnly(sample: Sample): Sample {
  return { ...sample, end: sample.due + 1000, outcome: "timeout", cluster: "", pod: "", readyAt: null };
}

function failing(run: FaultRun, traffic: Traffic): readonly string[] {
  const result = judge(run, traffic);
  assert.equal(
    result.passed,
    result.checks.every(({ passed }) => passed),
  );
  return result.checks.filter((check) => !check.passed).map((check) => check.text);
}

describe("hang", () => {
  const moved = madeTraffic(
    { until: 4540, gets: "east" },
    { until: 10_000, gets: "west" },
    { until: 14_000, gets: "east" },
  );
  const traffic = replaced(moved, range(101, 454), acceptedOnly);
  const only = "nothing lost but connections that a suspended server's kernel accepted before that";

  test("what the kernel accepted is lost until Kubernetes says that the servers are not ready", () => {
    assert.deepEqual(failing(hang, traffic), []);
    assert.equal(judge(hang, traffic).firstRemoteMs, 42);
    assert.deepEqual(judge(hang, traffic).lost, { refused: 0, reset: 0, timeout: 353, starved: 0, other: 0 });
  });

  test("a lost connect fails, and so does what is lost later", () => {
    for (const loss of ["refused", "timeout", "reset", "starved"])
      assert.deepEqual(failing(hang, withSample(traffic, 300, loss)), [only]);
    const late = failing(hang, replaced(traffic, [490], acceptedOnly));
    assert.deepEqual(late, [only, "west serves all from 300 ms after that"]);
  });

  test("it must be shown that all were suspended", () => {
    assert.deepEqual(failing({ ...hang, suspended: 2 }, traffic), ["proof: all NotReady together"]);
    assert.ok(failing({ ...hang, noneReady: null }, traffic).includes("proof: all NotReady together"));
  });
});

describe("node-dark and dark", () => {
  const during = range(120, 1120);
  const toWest = (pod: string) => (sample: Sample) => ({ ...sample, cluster: "west", pod });
  /** Half of the traffic goes to west before and after; meanwhile it waits for the second repeat of its SYN. */
  const half = replaced(east, range(0, 100), toWest("west-2"));
  const slow = replaced(
    half,
    during.filter((n) => n % 2 === 0),
    (sample) => ({
      ...sample,
      connected: sample.due + 304,
      end: sample.due + 306,
    }),
  );

  test("connects that are moved in time pass", () => {
    for (const run of [dark, nodeDark]) assert.deepEqual(failing(run, slow), []);
    assert.equal(judge(dark, slow).slowestConnectMs, 304);
  });

  test("a few connections that were established before may be lost, but no connect", () => {
    assert.deepEqual(failing(dark, replaced(slow, [118, 119], acceptedOnly)), []);
    assert.deepEqual(failing(dark, replaced(slow, range(110, 116), acceptedOnly)), [KEPT]);
    assert.deepEqual(failing(dark, replaced(slow, [121], acceptedOnly)), [KEPT]);
    for (const loss of ["timeout", "refused", "reset"])
      assert.deepEqual(failing(dark, withSample(slow, 119, loss)), [KEPT]);
  });

  test("a slow connect fails", () => {
    const late = replaced(slow, [500], (sample) => ({ ...sample, connected: sample.due + 351, end: sample.due + 352 }));
    const tooLate = ["every connect established ≤ 350 ms after it was due"];
    assert.deepEqual(failing(dark, late), tooLate);
    const stalled = (from: number, to: number) => ({ ...late, stalls: [{ from, to }] });
    assert.deepEqual(failing(dark, stalled(4900, 5001)), tooLate);
    const judged = judge(dark, stalled(4900, 5001)).checks.find(({ text }) => tooLate.includes(text));
    assert.equal(judged?.detail, "351 ms; the client did not run for 101 ms");
  });

  test("it must be shown that what is dark answered before, and not meanwhile", () => {
    const proof = "proof: silent from then on";
    assert.deepEqual(failing(dark, east), [proof]);
    assert.deepEqual(failing(dark, withSample(slow, 501, "west")), [proof]);
    assert.deepEqual(failing(nodeDark, replaced(slow, [501], toWest("west-3"))), [proof]);
    // A pod of west that is not on the dark node.
    assert.deepEqual(failing(nodeDark, replaced(slow, [501], toWest("west-1"))), []);
  });
});

describe("control-lost", () => {
  test("west serves all, and everything comes back", () => {
    assert.deepEqual(failing(controlLost, west), []);
    assert.deepEqual(failing({ ...controlLost, liveAt: null }, west), ["head is LIVE again"]);
  });

  test("an answer from east is a failover, and fails", () => {
    assert.deepEqual(failing(controlLost, withSample(west, 700, "east")), ["west serves all throughout"]);
    assert.equal(failing(controlLost, withSample(west, 700, "timeout"))[0], "nothing lost");
  });

  test("both must be shown to have been down", () => {
    assert.deepEqual(failing({ ...controlLost, refusedMs: 8000 }, west), ["proof: port refused 9 s or more"]);
    assert.deepEqual(failing({ ...controlLost, apiAnswers: true }, west), ["proof: west's API server is down"]);
  });
});
