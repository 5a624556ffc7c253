/**
 * A fault's guard: the process that puts the fault in force, waits, and ends it. It runs in a session of its own, so that a fault
 * ends by itself whatever happens to the command that asked for it and to the lab's supervisor.
 */
import { MeshError, systemClock } from "@isthmus/model";
import { sleep } from "@isthmus/runtime";
import { type LabHandle, openLab } from "../life/handle.js";
import type { Fault } from "./fault.js";
import { beginFault, endFault } from "./lifecycle.js";
import type { FaultRecord } from "./records.js";

/** Argument of the guard's program, as JSON. */
export interface GuardOrder {
  readonly lab: string;
  readonly fault: Fault;
  readonly forMs: number;
}

/** What the guard reports once, as one line of JSON. */
export type GuardAnswer =
  | { readonly record: FaultRecord }
  | { readonly error: { readonly code: string; readonly sentence: string } };

const RETRY_MS = 1_000;

/** `signal`: ends the fault before its time. `answer`: called once. Resolves when the fault is over, or was not established. */
export async function guardFault(
  { lab: name, fault, forMs }: GuardOrder,
  signal: AbortSignal,
  answer: (answer: GuardAnswer) => void,
): Promise<void> {
  const deadlineMs = systemClock.now() + forMs;
  let lab: LabHandle;
  let record: FaultRecord;
  try {
    lab = await openLab(name);
    record = await beginFault(lab, fault, forMs);
  } catch (thrown) {
    const error = MeshError.from(thrown);
    return answer({ error: { code: error.code, sentence: error.message } });
  }
  answer({ record });
  await sleep(systemClock, deadlineMs - systemClock.now(), signal);
  await endUntilDone(lab, record);
}

async function endUntilDone(lab: LabHandle, record: FaultRecord): Promise<void> {
  for (;;) {
    try {
      return await endFault(lab, record);
    } catch (error) {
      console.error(`Cannot end fault ${record.id}, retrying: ${MeshError.from(error).message}`);
      await systemClock.delay(RETRY_MS);
    }
  }
}
