/** The demo on the shared lab, in its own namespace. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { clearFaults, startFault } from "@isthmus/lab";
import { removeNamespace, type TestLab, testLab } from "@isthmus/lab/testing";
import { type DemoModules, demoOn } from "./demo.js";
import type { FaultName } from "./judge/runs.js";
import { reportText } from "./report/table.js";
import { labRig } from "./rigs/lab-rig.js";
import { NAMESPACE } from "./setup/objects.js";

/** `make demo` runs the others too. */
const AFFORDABLE: readonly FaultName[] = ["scale-down", "agent", "etcd", "apiserver", "wipe", "kill", "dark"];
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

describe("the demo on real clusters", () => {
  test("the faults pass", async () => {
    const report = await demoOn(labRig(lab), { faults: AFFORDABLE, rate: 100 }, modules);
    assert.ok(report.passed, `${reportText(report)}\n${said.join("\n")}`);
  });

  test("a suspended agent makes the demo fail, although connects to the backends that are gone are moved", async (t) => {
    const { name } = lab.plan;
    t.after(() => clearFaults(name));
    // The supervisor sees the agents running, but they process nothing.
    const hang = { kind: "hang", cluster: "east", role: "node-agent" } as const;
    const beforeFaults = async () => void (await startFault(name, hang, 10 * 60_000));
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
