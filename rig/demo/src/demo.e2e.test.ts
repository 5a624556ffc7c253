/** The demo on the shared lab, in its own namespace; agents that the test suspends are resumed at the end. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { labStatus, type ProcessRow } from "@isthmus/lab";
import { removeNamespace, type TestLab, testLab } from "@isthmus/lab/testing";
import { type DemoModules, demoOn } from "./demo.js";
import { FAULT_NAMES } from "./judge/runs.js";
import { reportText } from "./report/table.js";
import { labRig } from "./rigs/lab-rig.js";
import { NAMESPACE } from "./setup/objects.js";

const said: string[] = [];
const modules: DemoModules = {
  say: (sentence) => void said.push(sentence),
  onMark: (fault, mark) => void said.push(`${fault}: ${mark.text}`),
  onLog: () => undefined,
  signal: new AbortController().signal,
};

let lab: TestLab;
before(async () => {
  lab = await testLab();
});
after(async () => {
  await removeNamespace(lab, NAMESPACE);
  await lab.release();
});

/** SIGSTOP: the supervisor sees the agent running, but it processes nothing. */
async function signalAgents(signal: "SIGSTOP" | "SIGCONT"): Promise<readonly ProcessRow[]> {
  const rows = await labStatus(lab.plan.name);
  const agents = rows.filter((row) => row.role === "node-agent" && row.cluster === "east");
  for (const { pid } of agents) process.kill(pid, signal);
  return agents;
}

describe("the demo on real clusters", () => {
  test("all six faults pass", async () => {
    const report = await demoOn(labRig(lab), { faults: FAULT_NAMES, rate: 100 }, modules);
    assert.ok(report.passed, `${reportText(report)}\n${said.join("\n")}`);
  });

  test("a suspended agent makes the demo fail, although connects to the backends that are gone are moved", async (t) => {
    t.after(() => signalAgents("SIGCONT"));
    const beforeFaults = async () => assert.equal((await signalAgents("SIGSTOP")).length, 2);
    const report = await demoOn(labRig(lab), { faults: ["scale-down"], rate: 100 }, { ...modules, beforeFaults });
    const [fault] = report.faults;
    assert.equal(report.problem, null);
    assert.equal(report.passed, false);
    assert.ok(
      fault?.checks.some(({ passed }) => !passed),
      reportText(report),
    );
    assert.deepEqual([fault?.lost.refused, fault?.lost.timeout], [0, 0], reportText(report));
  });
});
