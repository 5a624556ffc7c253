/** Faults of a running lab, by the lab's name. */
import { systemClock } from "@isthmus/model";
import { checkFault, DEFAULT_FAULT_MS, type Fault, faultText } from "../faults/fault.js";
import { endOrphans } from "../faults/lifecycle.js";
import { type FaultRecord, readRecords } from "../faults/records.js";
import { startGuard } from "../faults/start-guard.js";
import { isAlive, signalProcess } from "../host/process.js";
import { waitFor } from "../host/wait.js";
import { labError } from "../plan/errors.js";
import { type LabHandle, openLab } from "./handle.js";

export interface FaultRow {
  readonly id: number;
  /** As after `mesh lab fault`: "dark west". */
  readonly fault: string;
  /** Milliseconds since the epoch. */
  readonly beganAtMs: number;
  readonly endsAtMs: number;
  /** 0 when the fault is about to end. */
  readonly leftMs: number;
  /** Pid of the process that ends the fault. */
  readonly guardPid: number;
}

export interface FaultList {
  /** In force, in order of their ids. */
  readonly faults: readonly FaultRow[];
  /** Ended by this call, since their guards had been killed. */
  readonly orphans: readonly FaultRow[];
}

const GUARD_END_MS = 10_000;

/** Resolves when the fault is in force. It ends by itself `forMs` after it began, whatever happens to this process. */
export async function startFault(name: string, fault: Fault, forMs: number = DEFAULT_FAULT_MS): Promise<FaultRow> {
  const lab = await openLab(name);
  checkFault(lab.plan, fault, forMs);
  return rowOf(await startGuard(lab, { lab: name, fault, forMs }));
}

export async function listFaults(name: string): Promise<FaultList> {
  const lab = await openLab(name);
  const orphans = await endOrphans(lab);
  const records = await readRecords(lab.paths.faults);
  return { faults: records.map(rowOf), orphans: orphans.map(rowOf) };
}

/** Ends one fault, or all of them, and returns them when they are over. Throws `NOT_FOUND` for an id that is not in force. */
export async function clearFaults(name: string, id?: number): Promise<FaultRow[]> {
  const lab = await openLab(name);
  const records = await readRecords(lab.paths.faults);
  const chosen = records.filter((record) => id === undefined || record.id === id);
  if (id !== undefined && chosen.length === 0) throw unknownFault(lab, id, records);
  // A guard that hangs or is about to establish its fault is killed as well: what it leaves is undone here.
  for (const { guard } of chosen) signalProcess(guard, "SIGKILL");
  const areGone = () => !chosen.some(({ guard }) => isAlive(guard));
  await waitFor("the faults' guards to end", areGone, { timeoutMs: GUARD_END_MS, everyMs: 5 });
  await endOrphans(lab);
  return chosen.map(rowOf);
}

function unknownFault({ plan }: LabHandle, id: number, records: readonly FaultRecord[]) {
  const ids = records.map((record) => record.id).join(", ");
  const there = ids === "" ? "it has no fault" : `use one of ${ids}`;
  return labError("NOT_FOUND", `Unknown fault ${id} in lab "${plan.name}": ${there}`);
}

function rowOf({ id, fault, beganAtMs, endsAtMs, guard }: FaultRecord): FaultRow {
  const leftMs = Math.max(0, endsAtMs - systemClock.wallMicros() / 1000);
  return { id, fault: faultText(fault), beganAtMs, endsAtMs, leftMs, guardPid: guard.pid };
}
