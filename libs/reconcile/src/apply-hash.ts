/**
 * Brings a kernel hash to what a tracker desires, in two separate steps, so that a caller can put other work between
 * them. An entry is never rewritten: a changed value is removed and inserted.
 */
import { keyBytes } from "@isthmus/model";
import type { DeltaTracker } from "./delta-tracker.js";
import type { HashPort } from "./ports.js";

/** Keys that could not be brought to their desired state, with the reason; they stay pending in the tracker. */
export type Failures = ReadonlyMap<string, Error>;

/** Inserts what is missing among `keys`; what stands there with another value is removed first. */
export async function insertMissing(
  port: HashPort,
  tracker: DeltaTracker,
  keys: Iterable<string> = [...tracker.toInsert],
): Promise<Failures> {
  const wanted = [...keys].filter((key) => tracker.toInsert.has(key));
  const stale = wanted.filter((key) => tracker.toRemove.has(key));
  const failed = new Map(await remove(port, tracker, stale));
  const entries = new Map<string, Uint8Array>();
  for (const key of wanted) {
    const value = tracker.desired.get(key);
    if (value !== undefined && !failed.has(key)) entries.set(key, keyBytes(value));
  }
  if (entries.size === 0) return failed;
  const applied = await port.insert(entries);
  for (const key of applied.done) tracker.setActual(key, tracker.desired.get(key) ?? "");
  for (const [key, error] of applied.failed) failed.set(key, error);
  return failed;
}

/** Removes what nobody desires among `keys`. */
export async function removeExtra(
  port: HashPort,
  tracker: DeltaTracker,
  keys: Iterable<string> = [...tracker.toRemove],
): Promise<Failures> {
  return remove(
    port,
    tracker,
    [...keys].filter((key) => tracker.toRemove.has(key)),
  );
}

async function remove(port: HashPort, tracker: DeltaTracker, keys: readonly string[]): Promise<Failures> {
  if (keys.length === 0) return new Map();
  const applied = await port.delete(new Set(keys));
  for (const key of applied.done) tracker.deleteActual(key);
  return applied.failed;
}
