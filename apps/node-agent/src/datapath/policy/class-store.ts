/**
 * Classes in mesh_policy_ports: what some row of a set says of protocols and ports. Equal ones are one class, known by its
 * content, and never change.
 *
 * A class is written before a row names it, and deleted a grace period after the last one that did.
 */
import { PolicyPortKey, PolicyPortRow } from "@isthmus/bpf";
import { bytesKey } from "@isthmus/model";
import { type ClassRow, classKey, compareClassRows, type PolicyClass } from "@isthmus/policy";
import { type HashPort, mapFull } from "@isthmus/reconcile";
import type { Slices } from "@isthmus/runtime";
import { createIndexPool } from "../rows/index-pool.js";

export interface ClassStore {
  /** The number of the class with this content (`PolicyClass.key`). */
  numberOf(key: string): number | undefined;
  /** Rows that these classes need which have no number yet. Throws `MAP_FULL` when there is no room for them. */
  checkRoom(classes: Iterable<PolicyClass>): void;
  /** A row names the class; it gets a number if it has none. */
  use(policyClass: PolicyClass): number;
  /** A row names the class with this number. */
  useNumber(number: number): void;
  /** No program can read the row that named the class any more. */
  release(number: number): void;
  /** Writes what was used for the first time. Returns the numbers of those that could not be written; they are not used again. */
  write(): Promise<ReadonlyMap<number, Error>>;
  /** Classes that no row names, for about as many rows; a later `use` of one makes another. */
  takeUnused(most: number): readonly number[];
  /** Deletes their rows, a grace period after. */
  free(numbers: readonly number[]): Promise<void>;
  /** There is something to take. */
  readonly hasUnused: boolean;
  /** Rows of the map in use. */
  readonly used: number;
}

interface StoredClass {
  readonly number: number;
  readonly key: string;
  /** Keys of its rows in the map. */
  readonly keys: readonly string[];
  uses: number;
}

/** Rows by class, as they are in the map. */
type AdoptedClasses = Map<number, { readonly rows: ClassRow[]; readonly keys: string[] }>;

/** Key bits before protocol and port. */
const CLASS_BITS = 32;

/** Adopts what the map holds; a class that no row turns out to name is unused. */
export function* openClassStore(port: HashPort): Slices<ClassStore> {
  const adopted: AdoptedClasses = new Map();
  for (const part of port.parts()) {
    for (const [key, value] of part) adopt(adopted, key, value, port.maxEntries);
    yield;
  }
  const byNumber = new Map<number, StoredClass>();
  const byKey = new Map<string, StoredClass>();
  const unused = new Set<StoredClass>();
  const unwritten = new Map<StoredClass, readonly ClassRow[]>();
  let used = 0;
  for (const [number, { rows, keys }] of adopted) {
    const one: StoredClass = { number, key: classKey(rows.sort(compareClassRows)), keys, uses: 0 };
    byNumber.set(number, one);
    byKey.set(one.key, one);
    unused.add(one);
    used += keys.length;
    yield;
  }
  const pool = yield* createIndexPool(port.maxEntries + 1, new Set(byNumber.keys()));

  function add(policyClass: PolicyClass): StoredClass {
    const number = pool.take();
    if (number === undefined) throw mapFull(port.name, port.maxEntries);
    const keys = policyClass.rows.map((row) => keyOf(number, row));
    const one: StoredClass = { number, key: policyClass.key, keys, uses: 0 };
    byNumber.set(number, one);
    byKey.set(one.key, one);
    unwritten.set(one, policyClass.rows);
    used += keys.length;
    return one;
  }

  function count(one: StoredClass): void {
    one.uses++;
    unused.delete(one);
  }

  /** The next one with this content is another class. */
  function forgetKey(one: StoredClass): void {
    if (byKey.get(one.key) === one) byKey.delete(one.key);
  }

  return {
    numberOf: (key) => byKey.get(key)?.number,
    checkRoom(classes) {
      const missing = new Map(
        [...classes].filter(({ key }) => !byKey.has(key)).map((one) => [one.key, one.rows.length]),
      );
      let rows = used;
      for (const count of missing.values()) rows += count;
      if (missing.size > 0 && rows > port.maxEntries) throw mapFull(port.name, port.maxEntries);
    },
    use(policyClass) {
      const one = byKey.get(policyClass.key) ?? add(policyClass);
      count(one);
      return one.number;
    },
    useNumber(number) {
      const one = byNumber.get(number);
      if (one !== undefined) count(one);
    },
    release(number) {
      const one = byNumber.get(number);
      if (one !== undefined && --one.uses === 0) unused.add(one);
    },
    async write() {
      if (unwritten.size === 0) return new Map();
      const entries = new Map<string, Uint8Array>();
      const owners = new Map<string, StoredClass>();
      for (const [one, rows] of unwritten) {
        for (const row of rows) {
          const key = keyOf(one.number, row);
          entries.set(key, portRow(one.number, row));
          owners.set(key, one);
        }
      }
      unwritten.clear();
      const failed = new Map<number, Error>();
      for (const [key, error] of (await port.insert(entries)).failed) {
        const one = owners.get(key);
        if (one === undefined) continue;
        failed.set(one.number, error);
        forgetKey(one);
      }
      return failed;
    },
    takeUnused(most) {
      const taken: number[] = [];
      let rows = 0;
      for (const one of unused) {
        if (rows > 0 && rows + one.keys.length > most) break;
        rows += one.keys.length;
        unused.delete(one);
        forgetKey(one);
        taken.push(one.number);
      }
      return taken;
    },
    async free(numbers) {
      const keys = new Set(numbers.flatMap((number) => byNumber.get(number)?.keys ?? []));
      for (const error of (await port.delete(keys)).failed.values()) throw error;
      for (const number of numbers) {
        if (byNumber.delete(number)) pool.give(number);
      }
      used -= keys.size;
    },
    get hasUnused() {
      return unused.size > 0;
    },
    get used() {
      return used;
    },
  };
}

function adopt(classes: AdoptedClasses, key: Uint8Array, value: Uint8Array, most: number): void {
  const { length, class: number, proto: protocol, port } = PolicyPortKey.decode(key);
  if (number === 0 || number > most) return;
  const { rule, allow } = PolicyPortRow.decode(value);
  const found = classes.get(number) ?? { rows: [], keys: [] };
  classes.set(number, found);
  found.rows.push({ bits: length - CLASS_BITS, protocol, port, allow: allow !== 0, rule });
  found.keys.push(bytesKey(key));
}

function keyOf(number: number, { bits, protocol, port }: ClassRow): string {
  return bytesKey(PolicyPortKey.encode({ length: CLASS_BITS + bits, class: number, proto: protocol, port }));
}

function portRow(number: number, { rule, allow }: ClassRow): Uint8Array {
  return PolicyPortRow.encode({ class: number, rule, allow: Number(allow), flags: 0, proxy: 0 });
}
