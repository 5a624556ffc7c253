/**
 * Begins and ends faults. Each change is made under the lab's lock, with the records of all faults in view.
 *
 *   plan effects ──► record ──► effects in force ──► … ──► effects undone ──► record removed
 *
 * Ending is idempotent: what a killed process has left half undone, the next one undoes again.
 */
import { systemClock } from "@isthmus/model";
import { identify, isAlive } from "../host/process.js";
import type { LabHandle } from "../life/handle.js";
import { labError } from "../plan/errors.js";
import { addDrops, removeDrops } from "./drops.js";
import { planEffects, withoutShared } from "./effects.js";
import type { Fault } from "./fault.js";
import { withFaultLock } from "./lock.js";
import { claimId, type FaultRecord, readRecords, removeRecord, writeRecord } from "./records.js";
import { resume, suspend } from "./suspend.js";

/** Puts a fault in force, with this process as its guard. When it cannot be established fully, it is undone and this rejects. */
export async function beginFault(lab: LabHandle, fault: Fault, forMs: number): Promise<FaultRecord> {
  return await withFaultLock(lab.plan.name, async () => {
    await undoEach(lab, (await readRecords(lab.paths.faults)).filter(isOrphan));
    const record = await planRecord(lab, fault, forMs);
    await writeRecord(lab.paths.faults, record);
    try {
      await establish(lab, record);
    } catch (error) {
      await undo(lab, record);
      throw error;
    }
    return record;
  });
}

/** No effect when the fault has ended already. */
export async function endFault(lab: LabHandle, { id }: FaultRecord): Promise<void> {
  await withFaultLock(lab.plan.name, async () => {
    const records = await readRecords(lab.paths.faults);
    await undoEach(
      lab,
      records.filter((record) => record.id === id),
    );
  });
}

/** Ends the faults whose guard was killed; returns them. */
export async function endOrphans(lab: LabHandle): Promise<FaultRecord[]> {
  if (!(await readRecords(lab.paths.faults)).some(isOrphan)) return [];
  return await withFaultLock(lab.plan.name, async () => {
    const orphans = (await readRecords(lab.paths.faults)).filter(isOrphan);
    await undoEach(lab, orphans);
    return orphans;
  });
}

function isOrphan({ guard }: FaultRecord): boolean {
  return !isAlive(guard);
}

async function planRecord(lab: LabHandle, fault: Fault, forMs: number): Promise<FaultRecord> {
  const rows = await lab.client.rows();
  const underlay = rows.find(({ role, pid }) => role === "underlay" && pid !== 0);
  const guard = identify(process.pid);
  if (underlay === undefined || guard === undefined)
    throw labError("NOT_RUNNING", `The underlay of lab "${lab.plan.name}" does not run`);
  const others = (await readRecords(lab.paths.faults)).map(({ effects }) => effects);
  const beganAtMs = systemClock.wallMicros() / 1000;
  return {
    id: await claimId(lab.paths.faults),
    fault,
    beganAtMs,
    endsAtMs: beganAtMs + forMs,
    guard,
    underlay: { pid: underlay.pid, startTicks: underlay.startTicks },
    effects: planEffects(lab.plan, fault, rows, others),
  };
}

async function establish({ client }: LabHandle, { id, underlay, effects }: FaultRecord): Promise<void> {
  await addDrops(underlay, id, effects.drops);
  await Promise.all(effects.held.map((selector) => client.control("hold", selector)));
  await suspend(effects.suspended);
}

async function undoEach(lab: LabHandle, records: readonly FaultRecord[]): Promise<void> {
  for (const record of records) await undo(lab, record);
}

async function undo({ client, paths }: LabHandle, { id, underlay, effects }: FaultRecord): Promise<void> {
  const others = (await readRecords(paths.faults)).filter((record) => record.id !== id);
  const own = withoutShared(
    effects,
    others.map((record) => record.effects),
  );
  await removeDrops(underlay, id);
  resume(own.suspended);
  // A start that fails is retried by the supervisor; without a supervisor nothing is started again, as after any exit.
  await Promise.allSettled(own.held.map((selector) => client.control("start", selector)));
  await removeRecord(paths.faults, id);
}
