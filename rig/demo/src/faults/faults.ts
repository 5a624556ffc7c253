/** The faults, in the order in which they run. */
import type { RigWorld } from "../drive/world.js";
import { FAULT_NAMES, type FaultName, type FaultRun } from "../judge/runs.js";
import { agent } from "./agent.js";
import { apiserver } from "./apiserver.js";
import { controlLost } from "./control-lost.js";
import { dark } from "./dark.js";
import { etcd } from "./etcd.js";
import { hang } from "./hang.js";
import { kill } from "./kill.js";
import { nodeDark } from "./node-dark.js";
import { scaleDown } from "./scale-down.js";
import { wipe } from "./wipe.js";

const DRIVERS: Readonly<Record<FaultName, (world: RigWorld) => Promise<FaultRun>>> = {
  "scale-down": scaleDown,
  agent,
  etcd,
  apiserver,
  wipe,
  "node-dark": nodeDark,
  kill,
  hang,
  dark,
  "control-lost": controlLost,
};

/** Leaves nothing in force, also when it fails. */
export function driveFault(world: RigWorld, name: FaultName): Promise<FaultRun> {
  return restoring(world, () => DRIVERS[name](world));
}

/** Runs `drive`, and undoes what it leaves in force. Rejects with its error, or with that of undoing. */
export async function restoring<T>(world: Pick<RigWorld, "restore">, drive: () => Promise<T>): Promise<T> {
  const driven = await drive().catch(async (error: unknown) => {
    await world.restore().catch(() => undefined);
    throw error;
  });
  await world.restore();
  return driven;
}

/** The faults that ran, and why the run ended early, if it did. */
export interface Driven {
  readonly runs: readonly FaultRun[];
  readonly problem: string | null;
}

export async function driveFaults(world: RigWorld, names: readonly FaultName[]): Promise<Driven> {
  const runs: FaultRun[] = [];
  for (const name of FAULT_NAMES.filter((known) => names.includes(known))) {
    try {
      runs.push(await driveFault(world, name));
    } catch (error) {
      return { runs, problem: `${name}: ${error instanceof Error ? error.message : String(error)}` };
    }
  }
  return { runs, problem: null };
}
