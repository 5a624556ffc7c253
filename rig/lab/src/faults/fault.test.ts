import assert from "node:assert/strict";
import { test } from "node:test";
import { makePlan } from "../plan/plan.js";
import { checkFault, type Fault, faultText } from "./fault.js";

const plan = makePlan({ name: "lab", index: 0, clusters: ["east", "west"], nodesPerCluster: 1, bare: true });
const [east, west] = [{ cluster: "east" }, { cluster: "west" }];

test("faults are written as their commands", () => {
  const faults: Fault[] = [
    { kind: "dark", cluster: "west" },
    { kind: "node", cluster: "west", node: "west-1" },
    { kind: "path", a: east, b: { cluster: "west", node: "west-1" }, oneWay: true },
    { kind: "loss", a: east, b: west, oneWay: false, percent: 5 },
    { kind: "control-plane", cluster: "east" },
    { kind: "hang", cluster: "east", role: "kubelet" },
  ];
  for (const fault of faults) checkFault(plan, fault, 30_000);
  assert.deepEqual(faults.map(faultText), [
    "dark west",
    "node west/west-1",
    "path east west/west-1 --one-way",
    "loss east west 5%",
    "control-plane east",
    "hang east kubelet",
  ]);
});

test("a name that is not in the lab, a share and a time out of bounds are usage errors", () => {
  const refused = (fault: Fault, message: string, forMs = 30_000) =>
    assert.throws(() => checkFault(plan, fault, forMs), { code: "USAGE", message });
  refused({ kind: "dark", cluster: "north" }, 'Unknown cluster "north" in lab "lab": use one of east, west');
  refused({ kind: "node", cluster: "west", node: "east-1" }, 'Unknown node "east-1" in lab "lab": use one of west-1');
  refused(
    { kind: "path", a: east, b: { cluster: "south" }, oneWay: false },
    'Unknown cluster "south" in lab "lab": use one of east, west',
  );
  refused({ kind: "path", a: east, b: east, oneWay: false }, 'Cannot use "east" for B: it is A; name two places');
  for (const percent of [0, -1, 100.1, Number.NaN])
    refused(
      { kind: "loss", a: east, b: west, oneWay: false, percent },
      `Cannot use "${percent}%" for PERCENT: write more than 0% and at most 100%`,
    );
  for (const forMs of [0, 99, 86_400_001, Number.NaN])
    refused(
      { kind: "dark", cluster: "west" },
      `Cannot use ${forMs} ms for --for: write a duration from 100ms to 24h`,
      forMs,
    );
});
