/**
 * Keys whose state in a listing is unverified: they are absent, or the store may be restored from a backup. Each key has the
 * emitted record, which stays until the state is verified; undefined: none was emitted.
 */
import { Kind } from "@isthmus/proto";
import type { HashedRecord } from "@isthmus/records";

export interface Unverified extends Iterable<readonly [string, HashedRecord | undefined]> {
  /** Number of keys, also of those without an emitted record. */
  readonly size: number;
  /** Number of emitted records. */
  readonly records: number;
  /** Number of nodes among them. */
  readonly nodes: number;
  /** Bytes of their keys and values. */
  readonly bytes: number;
  /** True also for a key without an emitted record. */
  has(key: string): boolean;
  /** Undefined for a key without an emitted record and for one that is not in here: `has` distinguishes them. */
  get(key: string): HashedRecord | undefined;
  /** `held` undefined: no record of the key was emitted. Replaces what was kept of the key. */
  set(key: string, held: HashedRecord | undefined): void;
  /** Nothing happens when the key is not in here. */
  delete(key: string): void;
  /** The emitted record of each key, undefined where there is none. */
  values(): Iterable<HashedRecord | undefined>;
}

/** A copy of `initial`; later changes of either do not affect the other. */
export function createUnverified(initial: Iterable<readonly [string, HashedRecord | undefined]> = []): Unverified {
  const held = new Map<string, HashedRecord | undefined>();
  let [records, nodes, bytes] = [0, 0, 0];

  function count(record: HashedRecord | undefined, sign: 1 | -1): void {
    if (record === undefined) return;
    records += sign;
    if (record.kind === Kind.KIND_NODE) nodes += sign;
    bytes += sign * (record.key.length + record.value.length);
  }

  function set(key: string, record: HashedRecord | undefined): void {
    count(held.get(key), -1);
    count(record, 1);
    held.set(key, record);
  }
  for (const [key, record] of initial) set(key, record);
  return {
    get size() {
      return held.size;
    },
    get records() {
      return records;
    },
    get nodes() {
      return nodes;
    },
    get bytes() {
      return bytes;
    },
    has: (key) => held.has(key),
    get: (key) => held.get(key),
    set,
    delete(key) {
      count(held.get(key), -1);
      held.delete(key);
    },
    values: () => held.values(),
    [Symbol.iterator]: () => held[Symbol.iterator](),
  };
}
