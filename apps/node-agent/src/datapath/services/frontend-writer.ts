/**
 * Writes rows of mesh_frontends: port rows are inserted, and removed, before the row that refuses the rest of their
 * VIP.
 */
import { type DeltaTracker, type Failures, type HashPort, insertMissing } from "@isthmus/reconcile";
import { type FrontendName, isRejectName } from "../../desired/services/frontends.js";

/** Inserts those of `names` that are desired and missing. Resolves with the error of each that failed, by name. */
export async function insertFrontends(
  port: HashPort,
  tracker: DeltaTracker,
  names: readonly FrontendName[],
): Promise<Failures> {
  const { ports, rejects } = portsAndRejects(names);
  const failed = await insertMissing(port, tracker, ports);
  return new Map([...failed, ...(await insertMissing(port, tracker, rejects))]);
}

/** Port rows also come first because they should get the last free entries of the map. */
export function portsAndRejects(names: readonly FrontendName[]) {
  return { ports: names.filter((name) => !isRejectName(name)), rejects: names.filter(isRejectName) };
}
