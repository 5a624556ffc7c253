import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { identify, isStopped, type ProcessIdentity } from "../host/process.js";
import type { LabHandle } from "../life/handle.js";
import { labPaths } from "../plan/paths.js";
import { makePlan } from "../plan/plan.js";
import type { ProcessRow, Selector } from "../supervise/process-table.js";
import { beginFault, endFault, endOrphans } from "./lifecycle.js";
import { readRecords, writeRecord } from "./records.js";

const HANG = { kind: "hang", cluster: "solo", role: "etcd" } as const;
const DOWN = { kind: "control-plane", cluster: "solo" } as const;
/** A process that has exited. */
const GONE: ProcessIdentity = { pid: 1, startTicks: -1 };

interface TestLab {
  readonly lab: LabHandle;
  readonly pid: number;
  readonly etcd: ChildProcess;
  /** Requests to the supervisor. */
  readonly requests: string[];
}

/** A lab of one process, without an underlay. */
async function makeLab(t: TestContext, refuse: string[] = []): Promise<TestLab> {
  const root = await mkdtemp(join(tmpdir(), "isthmus-lab-"));
  const etcd = spawn("sleep", ["60"]);
  await once(etcd, "spawn");
  const identity = identify(etcd.pid ?? 0) ?? assert.fail("etcd ended");
  t.after(async () => {
    etcd.kill("SIGKILL");
    await rm(root, { recursive: true });
  });
  const row = { cluster: "solo", node: "", status: "Running", restarts: 0, sinceMs: 0, reason: "" } as const;
  const rows: ProcessRow[] = [
    { ...row, role: "etcd", ...identity, holder: false },
    { ...row, role: "underlay", ...GONE, holder: true },
  ];
  const requests: string[] = [];
  const control = async (action: string, { role }: Selector) => {
    requests.push(`${action} ${role}`);
    if (refuse.includes(action)) throw new Error(`cannot ${action}`);
    return [];
  };
  const name = `faults-${process.pid}-${etcd.pid}`;
  const plan = makePlan({ name, index: 0, clusters: ["solo"], nodesPerCluster: 1, bare: true });
  const paths = { ...labPaths(name), faults: join(root, "faults") };
  const client = { rows: async () => rows, control };
  return { lab: { plan, paths, client } as unknown as LabHandle, pid: identity.pid, etcd, requests };
}

const faultsOf = (lab: LabHandle) => readRecords(lab.paths.faults);

test("a hanging process is stopped until the last of two faults ends", async (t) => {
  const { lab, pid } = await makeLab(t);
  const first = await beginFault(lab, HANG, 60_000);
  const second = await beginFault(lab, HANG, 60_000);
  assert.ok(isStopped(pid));
  assert.deepEqual([first.id, second.id, second.endsAtMs - second.beganAtMs], [1, 2, 60_000]);
  await endFault(lab, first);
  assert.ok(isStopped(pid));
  await endFault(lab, second);
  assert.ok(!isStopped(pid));
  await endFault(lab, second);
  assert.deepEqual(await faultsOf(lab), []);
});

test("what is kept down is started once, by the last fault", async (t) => {
  const { lab, requests } = await makeLab(t);
  const first = await beginFault(lab, DOWN, 60_000);
  const second = await beginFault(lab, DOWN, 60_000);
  await endFault(lab, second);
  assert.deepEqual(requests, ["hold etcd", "hold etcd"]);
  await endFault(lab, first);
  assert.deepEqual(requests.slice(2), ["start etcd"]);
});

test("a fault that cannot be established is undone and reported", async (t) => {
  const { lab, requests } = await makeLab(t, ["hold"]);
  await assert.rejects(beginFault(lab, DOWN, 60_000), /cannot hold/);
  assert.deepEqual(requests, ["hold etcd", "start etcd"]);
  assert.deepEqual(await faultsOf(lab), []);
});

test("a fault whose process has exited is refused", async (t) => {
  const { lab, etcd } = await makeLab(t);
  etcd.kill("SIGKILL");
  await once(etcd, "exit");
  await assert.rejects(beginFault(lab, HANG, 60_000), { code: "STEP_FAILED", message: /it has ended meanwhile/ });
  assert.deepEqual(await faultsOf(lab), []);
});

test("a fault ends although the supervisor is gone", async (t) => {
  const { lab } = await makeLab(t, ["start"]);
  await endFault(lab, await beginFault(lab, DOWN, 60_000));
  assert.deepEqual(await faultsOf(lab), []);
});

test("a fault whose guard was killed is ended by the next call, the others are not", async (t) => {
  const { lab, pid, requests } = await makeLab(t);
  const living = await beginFault(lab, DOWN, 60_000);
  await writeRecord(lab.paths.faults, { ...(await beginFault(lab, HANG, 60_000)), guard: GONE });
  assert.deepEqual(
    (await endOrphans(lab)).map(({ id }) => id),
    [2],
  );
  assert.ok(!isStopped(pid));
  assert.deepEqual(await faultsOf(lab), [living]);
  assert.deepEqual(requests, ["hold etcd"]);
  assert.deepEqual(await endOrphans(lab), []);
  await writeRecord(lab.paths.faults, { ...living, guard: GONE });
  await beginFault(lab, HANG, 60_000);
  assert.deepEqual(
    (await faultsOf(lab)).map(({ id }) => id),
    [3],
  );
});
