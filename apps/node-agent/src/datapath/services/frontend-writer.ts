/**
 * Writes rows of mesh_frontends: port rows are inserted, and removed, before the row that refuses the rest of their
 * VIP.
 */
import { type DeltaTracker, type Failures, type HashPort, insertMissing, removeExtra } from "@isthmus/reconcile";
import { type FrontendName, isRejectName } from "../../desired/services/frontends.js";

/** Inserts those of `names` that are desired and missing. Resolves with the error of each that failed, by name. */
export async function insertFrontends(
  port: HashPort,
  tracker: DeltaTracker,
  names: readonly FrontendName[],
): Promise<Failures> {
  return inOrder(names, (part) => insertMissing(port, tracker, part));
}

/** Removes those of `names` that are not desired. Resolves with the error of each that failed, by name. */
export async function removeFrontends(
  port: HashPort,
  tracker: DeltaTracker,
  names: readonly FrontendName[],
): Promise<Failures> {
  return inOrder(names, (part) => removeExtra(port, tracker, part));
}

async function inOrder(
  names: readonly FrontendName[],
  write: (part: readonly FrontendName[]) => Promise<Failures>,
): Promise<Failures> {
  const { ports, rejects } = portsAndRejects(names);
  return new Map([...(await write(ports)), ...(await write(rejects))]);
}

/** Port rows also come first because they should get the last free entries of the map. */
export function portsAndRejects(names: readonly FrontendName[]) {
  return { ports: names.filter((name) => !isRejectName(name)), rejects: names.filter(isRejectName) };
}
