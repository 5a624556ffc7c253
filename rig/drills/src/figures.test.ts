import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Sample, Traffic } from "@isthmus/demo";
import { madeTraffic } from "@isthmus/demo/testing";
import { costsOf, longestStall, percentile, spreadOf, starvedBy } from "./figures.js";

const window = { from: 0, to: 1000 };

/** A second of requests, some of them changed. */
function traffic(changed: Readonly<Record<number, Partial<Sample>>> = {}): Traffic {
  const made = madeTraffic({ until: 1000, gets: "west" });
  return { ...made, samples: made.samples.map((sample) => ({ ...sample, ...changed[sample.number] })) };
}

describe("costs of a run", () => {
  test("lost connects are told from lost connections", () => {
    const costs = costsOf(
      traffic({
        1: { outcome: "refused", connected: null, end: 13 },
        2: { outcome: "timeout", connected: null },
        3: { outcome: "timeout", connected: 31 },
        4: { outcome: "reset", connected: 41 },
        5: { outcome: "other", connected: null },
        6: { connected: 360 },
      }),
      window,
    );
    assert.deepEqual(costs, {
      requests: 100,
      refused: 1,
      timedOut: 1,
      ended: 2,
      other: 1,
      slowestConnectMs: 300,
      slowestRefusalMs: 3,
    });
  });

  test("a request without a sample is lost", () => {
    const all = traffic();
    assert.equal(costsOf({ ...all, samples: all.samples.filter(({ number }) => number !== 50) }, window).other, 1);
  });

  test("without a connect or a refusal there is no slowest one", () => {
    const { slowestConnectMs, slowestRefusalMs } = costsOf(madeTraffic({ until: 1000, gets: "timeout" }), window);
    assert.deepEqual([slowestConnectMs, slowestRefusalMs], [null, null]);
  });
});

describe("a starved client", () => {
  test("a stall in the window and a starved request make a run void", () => {
    const stalled = (from: number, to: number) => ({ ...traffic(), stalls: [{ from, to }] });
    assert.equal(starvedBy(traffic(), window), null);
    assert.equal(starvedBy(stalled(1000, 1200), window), null);
    assert.match(starvedBy(stalled(900, 1200), window) ?? "", /for 300 ms/);
    assert.equal(starvedBy(stalled(900, 960), window), null);
    assert.equal(longestStall(stalled(900, 960), window), 60);
    assert.match(starvedBy(traffic({ 9: { outcome: "starved" } }), window) ?? "", /^1 requests/);
  });
});

test("median and worst are of the values that are known", () => {
  assert.deepEqual(spreadOf([3, null, 1, 2]), { median: 2, worst: 3 });
  assert.equal(spreadOf([null]), null);
  assert.equal(percentile([1, 2, 3, 4], 99), 4);
});
