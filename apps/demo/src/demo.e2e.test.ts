import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { downLab, labStatus } from "@isthmus/lab";
import { type DemoModules, runDemo } from "./demo.js";
import { FAULT_NAMES } from "./judge/runs.js";
import type { DemoOptions } from "./options.js";
import { reportText } from "./report/table.js";

const LAB = "demo-test";
const options: DemoOptions = { lab: LAB, faults: FAULT_NAMES, keep: true, out: "", rate: 100, help: false };

const said: string[] = [];
const modules: DemoModules = {
  say: (sentence) => void said.push(sentence),
  onMark: (fault, mark) => void said.push(`${fault}: ${mark.text}`),
  onLog: () => undefined,
  signal: new AbortController().signal,
};

/** SIGSTOP of every agent of east: alive for its supervisor, deaf for the mesh. */
async function freezeAgents(): Promise<void> {
  const agents = (await labStatus(LAB)).filter((row) => row.role === "node-agent" && row.cluster === "east");
  assert.equal(agents.length, 2);
  for (const { pid } of agents) process.kill(pid, "SIGSTOP");
}

describe("the demo on real clusters", () => {
  test("all six faults pass", async () => {
    const report = await runDemo(options, modules);
    assert.ok(report.passed, `${reportText(report)}\n${said.join("\n")}`);
  });

  test("a frozen agent makes it fail, and the lost requests are counted", async (t) => {
    t.after(() => downLab({ name: LAB }));
    const frozen = { ...modules, beforeFaults: freezeAgents };
    const report = await runDemo({ ...options, faults: ["scale-down"], keep: false }, frozen);
    const [fault] = report.faults;
    assert.equal(report.problem, null);
    assert.equal(report.passed, false);
    assert.ok((fault?.lost.refused ?? 0) + (fault?.lost.timeout ?? 0) > 100, reportText(report));
  });
});
