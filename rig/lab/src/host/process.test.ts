import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, readlinkSync } from "node:fs";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import {
  childrenOf,
  describeProcess,
  identify,
  isAlive,
  isStopped,
  parentOf,
  parseStartTicks,
  signalProcess,
} from "./process.js";

test("a command name with spaces and brackets does not shift the fields", () => {
  const fields = ["S", ...Array.from({ length: 18 }, () => "0"), "4711", "9"].join(" ");
  assert.equal(parseStartTicks(`12 (a) b (c) ${fields}`), 4711);
});

test("a zombie does not count as running", () => {
  const fields = ["Z", ...Array.from({ length: 18 }, () => "0"), "4711"].join(" ");
  assert.equal(parseStartTicks(`12 (sh) ${fields}`), undefined);
});

test("a process is identified, distinguished from another one with the same pid, and not found after its exit", async () => {
  const child = spawn("sleep", ["60"]);
  await once(child, "spawn");
  const identity = identify(child.pid ?? 0);
  assert.ok(identity !== undefined);
  assert.ok(isAlive(identity));
  const impostor = { ...identity, startTicks: identity.startTicks - 1 };
  assert.equal(signalProcess(impostor, "SIGKILL"), false);
  assert.ok(isAlive(identity));
  assert.equal(signalProcess(identity, "SIGKILL"), true);
  await once(child, "exit");
  assert.equal(isAlive(identity), false);
  assert.equal(signalProcess(identity, "SIGKILL"), false);
});

test("a namespace's pid 1 that only waits until other processes are reaped does not count as running", async (t) => {
  const holder = spawn("unshare", ["--pid", "--fork", "--kill-child", "--", "sleep", "60"], { stdio: "ignore" });
  const init = await childOf(holder.pid ?? 0);
  const guest = spawn("nsenter", ["--target", String(init), "--pid", "--", "sleep", "60"], { stdio: "ignore" });
  const inside = await childOf(guest.pid ?? 0);
  t.after(() => {
    for (const child of [guest, holder]) child.kill("SIGKILL");
  });
  guest.kill("SIGSTOP");
  while (!readFileSync(`/proc/${guest.pid}/stat`, "latin1").includes(") T ")) await setImmediate();
  process.kill(init, "SIGKILL");
  while (identify(inside) !== undefined) await setImmediate();
  while (identify(init) !== undefined) await setImmediate();
  assert.ok(existsSync(`/proc/${init}/stat`), "its parent has not reaped the other yet");
});

async function childOf(pid: number): Promise<number> {
  for (;;) {
    const [child] = await childrenOf(pid);
    if (child !== undefined && readlinkSync(`/proc/${child}/exe`).endsWith("sleep")) return child;
    await setImmediate();
  }
}

test("a process that does not exit is described by name and state", async () => {
  const child = spawn("sleep", ["60"]);
  await once(child, "spawn");
  const pid = child.pid ?? 0;
  child.kill("SIGSTOP");
  const stopped = () => describeProcess(pid).endsWith("(T)");
  while (!stopped()) await setImmediate();
  assert.match(describeProcess(pid), new RegExp(`^${pid} sleep(, in the kernel at \\w+)? \\(T\\)$`));
  child.kill("SIGKILL");
  await once(child, "exit");
});

test("a process that a signal stopped is recognised, and a process's parent is known by name", async () => {
  const child = spawn("sleep", ["60"]);
  await once(child, "spawn");
  const pid = child.pid ?? 0;
  assert.ok(!isStopped(pid));
  child.kill("SIGSTOP");
  while (!isStopped(pid)) await setImmediate();
  assert.equal(parentOf(pid)?.identity.pid, process.pid);
  assert.equal(parentOf(pid)?.command, readFileSync("/proc/self/comm", "latin1").trim());
  child.kill("SIGKILL");
  await once(child, "exit");
  assert.ok(!isStopped(pid));
  assert.equal(parentOf(pid), undefined);
});
