import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { isAlive, type ProcessIdentity } from "../host/process.js";
import { waitFor } from "../host/wait.js";
import { createManagedProcess, type ManagedProcess } from "./managed-process.js";
import type { ProcessSpec } from "./spec.js";

async function managed(t: TestContext, change: Partial<ProcessSpec> = {}): Promise<ManagedProcess> {
  const folder = await mkdtemp(join(tmpdir(), "isthmus-lab-"));
  const lifetime = new AbortController();
  const spec: ProcessSpec = {
    role: "etcd",
    log: join(folder, "log"),
    cgroup: "",
    command: () => ["sleep", "60"],
    graceMs: 500,
    ...change,
  };
  const process = createManagedProcess(spec, {
    newBackoff: () => ({ nextMs: () => 5, reset: () => undefined }),
    joinCgroup: (_, argv) => argv,
    onChange: () => undefined,
    signal: lifetime.signal,
  });
  t.after(async () => {
    await process.stop();
    lifetime.abort();
    await rm(folder, { recursive: true, force: true });
  });
  return process;
}

const running = (process: ManagedProcess, not?: ProcessIdentity): Promise<ProcessIdentity> =>
  waitFor(
    "a running process",
    () => {
      const state = process.state();
      return state.status === "Running" && state.identity.pid !== not?.pid && state.identity;
    },
    { timeoutMs: 5_000, everyMs: 2 },
  );

test("a process goes from Held to Running, and after a kill to Running again as another process", async (t) => {
  const process = await managed(t);
  assert.equal(process.state().status, "Held");
  assert.equal(process.kill(), false);
  await process.start();
  const first = await running(process);
  assert.ok(process.kill());
  const second = await running(process, first);
  assert.ok(!isAlive(first) && isAlive(second));
  assert.equal(process.restarts, 1);
});

test("a stopped process exits and stays down until it is started", async (t) => {
  const process = await managed(t);
  await process.start();
  const identity = await running(process);
  await process.stop();
  assert.ok(!isAlive(identity));
  assert.equal(process.state().status, "Held");
  await process.start();
  assert.ok(isAlive(await running(process)));
});

test("a process that ignores SIGTERM is killed after its grace period", async (t) => {
  const process = await managed(t, {
    graceMs: 50,
    command: () => ["sh", "-c", "trap '' TERM; exec sleep 60"],
  });
  await process.start();
  const identity = await running(process);
  await process.stop();
  assert.ok(!isAlive(identity));
});

test("start rejects when a program cannot start, and the start is retried", async (t) => {
  const process = await managed(t, { command: () => ["/nonexistent/program"] });
  await assert.rejects(process.start());
  await waitFor("retries", () => process.restarts >= 3, { timeoutMs: 5_000, everyMs: 2 });
});

test("a rejection of prepare is a failed start; stop ends the retries", async (t) => {
  let tries = 0;
  const process = await managed(t, {
    prepare: () => Promise.reject(new Error(`not yet ${++tries}`)),
  });
  await assert.rejects(process.start(), /not yet 1/);
  await waitFor("retries", () => tries >= 3, { timeoutMs: 5_000, everyMs: 2 });
  await process.stop();
  assert.equal(process.state().status, "Held");
});

test("for a command that forks, the program is its child", async (t) => {
  const process = await managed(t, {
    forks: true,
    command: () => ["unshare", "--fork", "--kill-child", "sleep", "60"],
  });
  await process.start();
  const { pid } = await running(process);
  await waitFor("sleep", async () => (await readFile(`/proc/${pid}/comm`, "utf8")) === "sleep\n", { timeoutMs: 2_000 });
});

test("the log contains the output of all restarts", async (t) => {
  const process = await managed(t, { command: () => ["sh", "-c", "echo line; exec sleep 60"] });
  const log = (want: string) =>
    waitFor("the log", async () => (await readFile(process.spec.log, "utf8")) === want, {
      timeoutMs: 5_000,
      everyMs: 2,
    });
  await process.start();
  await log("line\n");
  process.kill();
  await log("line\nline\n");
});

test("a suspended program under nsenter can be stopped, and its end is noticed when another process kills it", async (t) => {
  const inHere = ["nsenter", "--target", String(globalThis.process.pid), "--pid", "--"];
  const process = await managed(t, { command: () => [...inHere, "sleep", "60"], forks: true });
  const suspend = async ({ pid }: ProcessIdentity) => {
    const wrapper = parentOf(pid);
    globalThis.process.kill(pid, "SIGSTOP");
    await waitFor("nsenter to suspend itself", () => sourceStateMessage(wrapper) === "T", {
      timeoutMs: 5_000,
      everyMs: 5,
    });
  };
  await process.start();
  const first = await running(process);
  await suspend(first);
  globalThis.process.kill(first.pid, "SIGKILL");
  const second = await running(process, first);
  await suspend(second);
  await process.stop();
  assert.ok(!isAlive(second));
  assert.equal(process.state().status, "Held");
});

function stat(pid: number): string[] {
  const text = readFileSync(`/proc/${pid}/stat`, "latin1");
  return text.slice(text.lastIndexOf(")") + 2).split(" ");
}

function sourceStateMessage(pid: number): string {
  return stat(pid)[0] ?? "";
}

function parentOf(pid: number): number {
  return Number(stat(pid)[1]);
}
