import assert from "node:assert/strict";
import { test } from "node:test";
import { createTimeline } from "./history.js";
import type { Judgement, Probe } from "./judge.js";
import { createModel } from "./model.js";
import type { Labels } from "./oracle.js";
import { addTo, certainShare, createTally, reportText } from "./report.js";

test("probes are counted by kind and judgement, those to a Service apart, and violations are kept", () => {
  const model = createModel();
  for (const [name, address] of [
    ["client", "10.11.0.1"],
    ["server", "10.11.0.2"],
  ] as const)
    model.pods.set(name, {
      ...{ name, address, cluster: "east", namespace: "blue", node: "east-1" },
      labels: createTimeline<Labels | undefined>({}),
    });
  model.faults.push({ fault: { kind: "node", cluster: "west", node: "west-1" }, from: 100, to: 200 });
  const tally = createTally();
  const add = (target: string, began: number, judgement: Judgement) => {
    const common = {
      kind: "connect",
      client: "client",
      sourcePort: 40_000,
      outcome: "open",
      answeredBy: "server",
    } as const;
    const probe: Probe = { ...common, target, began, ended: began + 10 };
    return addTo(tally, model, probe, judgement);
  };
  add("10.11.0.2:7000", 150, { verdict: "allowed" });
  add("10.11.0.2:7000", 150, { verdict: "excused", reason: "target is new" });
  add("10.96.0.1:80", 10, { verdict: "allowed" });
  const violation = add("10.96.0.1:80", 150, { verdict: "leak", pods: ["server"] });
  assert.deepEqual(
    [...tally.counts].map(([kind, of]) => [kind, Object.fromEntries(of)]),
    [
      ["connect", { allowed: 1, "excused: target is new": 1 }],
      ["connect to a Service", { allowed: 1 }],
      ["connect to a Service, network broken", { leak: 1 }],
    ],
  );
  assert.deepEqual(
    violation?.pods.map((pod) => (pod as { readonly name: string }).name),
    ["client", "server"],
  );
  assert.equal(certainShare(tally), 0.75);
  const text = reportText({ seed: 7, seconds: 1, tally, steps: [], certain: 0.75, moved: 3, faults: model.faults });
  assert.match(
    text,
    /^Seed 7.*\n3 connects were moved.*\n75 %.*\nleak: connect of client:40000 to 10.96.0.1:80.*\n1 viol/s,
  );
});
