import assert from "node:assert/strict";
import { test } from "node:test";
import { parseLine } from "./prober.js";

test("lines of a prober", () => {
  const common = { client: "c", began: 12, ended: 34, sourcePort: 40000, target: "10.0.0.1:7000" };
  assert.deepEqual(parseLine("c", "connect 12 34 40000 10.0.0.1:7000 open server"), {
    ...common,
    ...{ kind: "connect", outcome: "open", answeredBy: "server" },
  });
  assert.deepEqual(parseLine("c", "flow 12 34 40000 10.0.0.1:7000 timeout"), {
    ...common,
    ...{ kind: "flow", outcome: "timeout", answeredBy: undefined },
  });
  assert.deepEqual(parseLine("c", "late 12 34"), { late: [12, 34] });
  assert.throws(() => parseLine("c", "Killed"), /Cannot read "Killed"/);
});
