/** Chooses the writes of one txn: in writing order, each key once, at most 127 writes and 1 MiB, the head not counted. */
import type { RecordTable } from "@isthmus/records";
import type { DirtySet } from "./dirty-set.js";
import type { Write } from "./events.js";

export const MAX_WRITES = 127;
export const MAX_BYTES = 1024 * 1024;

export interface BatchOfWrites {
  /** In writing order, each key once; empty when no key is dirty or all dirty keys are busy. */
  readonly writes: readonly Write[];
  /** When the newest of the changes was observed, microseconds; 0 = unknown. */
  readonly observedMicros: number;
}

/** `busy`: keys in another txn that is in flight. */
export function chooseWrites(
  dirty: DirtySet,
  wanted: RecordTable,
  room = MAX_WRITES,
  busy: ReadonlySet<string> = new Set(),
): BatchOfWrites {
  const writes: Write[] = [];
  let [bytes, observed] = [0, 0];
  for (const [key, observedMicros] of dirty.ordered()) {
    if (writes.length >= room) break;
    if (busy.has(key)) continue;
    const record = wanted.get(key);
    const write: Write = record === undefined ? { type: "delete", key } : { type: "put", key, value: record.value };
    bytes += key.length + (record?.value.length ?? 0) + 128;
    if (bytes > MAX_BYTES && writes.length > 0) break;
    writes.push(write);
    observed = Math.max(observed, observedMicros);
  }
  return { writes, observedMicros: observed };
}
