/**
 * Applies a tracker's desired state to a kernel hash, in two separate steps so that a caller can do other work between
 * them. Entries are never overwritten: a changed value is removed, then inserted.
 */
import { keyBytes } from "@isthmus/model";
import type { DeltaTracker } from "./delta-tracker.js";
import type { HashPort } from "./ports.js";

/** Keys that could not be changed, with the error; they stay pending in the tracker. */
export type Failures = ReadonlyMap<string, Error>;

/** Inserts the entries of `keys` that are missing; an entry with another value is removed first. */
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

/** Removes the entries of `keys` that are not desired. */
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
