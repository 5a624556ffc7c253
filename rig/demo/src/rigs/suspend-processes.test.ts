import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type TestContext, test } from "node:test";
import { until } from "@isthmus/testing";
import { suspendProcesses } from "./suspend-processes.js";

/** The state of a process as in /proc/PID/stat: "T" when it is stopped. */
function stateOf(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  return stat.slice(stat.lastIndexOf(")") + 2)[0] ?? "";
}

async function sleeper(t: TestContext): Promise<number> {
  const child = spawn("sleep", ["60"], { stdio: "ignore" });
  t.after(() => child.kill("SIGKILL"));
  await once(child, "spawn");
  return child.pid ?? 0;
}

test("processes are suspended until the end", async (t) => {
  const pids = [await sleeper(t), await sleeper(t)];
  const suspension = await suspendProcesses(pids);
  assert.equal(suspension.count, 2);
  await until("the processes to be stopped", () => pids.every((pid) => stateOf(pid) === "T"));
  await suspension.end();
  await until("the processes to run", () => pids.every((pid) => stateOf(pid) !== "T"));
});

test("processes run again when the one that suspended them is killed", async (t) => {
  const pid = await sleeper(t);
  const main = new URL("./suspend-processes.js", import.meta.url);
  const script = `const { suspendProcesses } = await import(${JSON.stringify(main)}); await suspendProcesses([${pid}]); console.log("done"); setInterval(() => {}, 1e6);`;
  const holder = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(holder.stdout, "data");
  await until("the processes to be stopped", () => stateOf(pid) === "T");
  holder.kill("SIGKILL");
  await until("the processes to run", () => stateOf(pid) !== "T");
});
