import assert from "node:assert/strict";
import { test } from "node:test";
import { judge } from "../judge/judge.js";
import type { AgentRun, ApiserverRun, WipeRun } from "../judge/runs.js";
import { madeTraffic, withSample } from "../judge/testing/made-traffic.js";
import { hints } from "./hints.js";

const base = { window: { from: 0, to: 12_000 }, injected: 1000, marks: [] };
const agent: AgentRun = { ...base, name: "agent", oldPid: 1, newPid: 2 };
const apiserver: ApiserverRun = { ...base, name: "apiserver", refusedMs: 0 };
const west = madeTraffic({ until: 12_000, gets: "west" });

test("a demo that passed has no hint", () => {
  assert.deepEqual(hints([judge(agent, west)], "out/logs", false), []);
});

test("failed faults are named with the logs of the processes involved, each once", () => {
  assert.deepEqual(hints([judge({ ...agent, newPid: 1 }, west), judge(apiserver, west)], "out/logs", false), [
    "Look at out/logs/node-agent.*, out/logs/lab.*, out/logs/clustermesh-apiserver.*",
    "Alone, with the lab left up: node rig/demo/dist/main.js --faults agent,apiserver --keep",
  ]);
});

test("on kind, logs are by cluster and node, and the store's log is beside them", () => {
  const wipe: WipeRun = {
    ...base,
    name: "wipe",
    storeBefore: "1",
    storeAfter: null,
    liveAt: null,
    sliceAt: null,
    mapsAt: null,
  };
  assert.deepEqual(hints([judge({ ...agent, newPid: 1 }, west), judge(wipe, west)], "out/logs", true), [
    "Look at out/logs/*/*/containers/node-agent*, out/logs/*/*/containers/clustermesh-apiserver*, out/logs/mesh-etcd.log",
    "Alone: deploy/kind/demo.sh --faults agent,wipe",
  ]);
});

test("the first hint reports a client that was not scheduled in time", () => {
  const starved = judge(agent, withSample(west, 700, "starved"));
  assert.match(hints([starved], "out/logs", false)[0] ?? "", /too busy/);
  const thin = judge(agent, { ...west, samples: west.samples.filter(({ number }) => number % 20 !== 0) });
  assert.match(hints([thin], "out/logs", false)[0] ?? "", /too busy/);
});
