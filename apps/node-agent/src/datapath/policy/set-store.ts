/**
 * Policy sets in mesh_policy_sets and mesh_policy_peers, with the classes that their rows name.
 *
 * ```
 *   classes ─► rows of identities ─► the row of the others      a new set, whole before a pod's word names it
 *   rows of identities                                          of a set that pods have, in place
 * ```
 * A set that finds no room is not written at all. What a set loses is deleted when no program can read it: the row of an
 * identity when no address has it, a whole set a grace period after the last pod had it.
 */
import { PolicyPeerKey, PolicyPeerRow, type PolicyPort, PolicySetRow } from "@isthmus/bpf";
import type { IdentityNumber } from "@isthmus/identity";
import { keyBytes } from "@isthmus/model";
import type { PeerRow, PolicySet } from "@isthmus/policy";
import { mapFull, readChunks } from "@isthmus/reconcile";
import { nextTurn, type Slices } from "@isthmus/runtime";
import type { Check } from "../../apply/part.js";
import { createIndexPool } from "../rows/index-pool.js";
import { openClassStore } from "./class-store.js";
import {
  classesOf,
  classNumbers,
  createRowWords,
  peerKey,
  peerRow,
  type RowWords,
  sameWords,
  setRow,
  wordsOf,
} from "./row-words.js";

/** A set as it is in the maps, or is to be after the next `write`. */
export interface StoredSet {
  /** In mesh_policy_sets. */
  readonly index: number;
  /** Of identities without a row. */
  readonly others: RowWords;
  /** By identity. */
  readonly rows: ReadonlyMap<number, RowWords>;
}

interface MutableSet extends StoredSet {
  readonly rows: Map<number, RowWords>;
}

/** What could not be written. */
export interface SetFailures {
  /** New sets, of which nothing is left in the maps. */
  readonly sets: ReadonlyMap<StoredSet, Error>;
  /** Rows in place, which are as before. */
  readonly rows: readonly RowFailure[];
}

/** A row that could not be written. */
export interface RowFailure {
  readonly set: StoredSet;
  readonly identity: number;
  readonly error: Error;
}

export interface SetStore {
  /** Sets that the maps held at the start, by index. */
  readonly adopted: ReadonlyMap<number, StoredSet>;
  /** A new set, written by the next `write`. `kept`: rows that it has besides. Throws `MAP_FULL`. */
  add(set: PolicySet, kept: ReadonlyMap<number, RowWords>): StoredSet;
  /** The words of a row, if all classes that it names are there. */
  wordsOf(row: PeerRow): RowWords | undefined;
  /** Adds or replaces a row, by the next `write`. Throws `MAP_FULL`. */
  setRow(set: StoredSet, identity: number, row: PeerRow): void;
  /** Deletes rows that no program looks up any more. Returns those that cannot be deleted, which stay. */
  deleteRows(rows: Iterable<readonly [StoredSet, number]>): Promise<readonly (readonly [StoredSet, number])[]>;
  /** Writes what was added. `check`: called when other work may have run meanwhile, before more is written. */
  write(check: Check): Promise<SetFailures>;
  /** Nothing names these sets: their rows are deleted. */
  free(sets: readonly StoredSet[]): Promise<void>;
  /** Classes that nothing names, for about as many rows: to be freed after a grace period. */
  takeClasses(most: number): { readonly free: () => Promise<void> } | undefined;
  /** Rows of mesh_policy_sets in use. */
  readonly usedSets: number;
  /** Rows of mesh_policy_peers in use. */
  readonly usedPeers: number;
  /** Rows of mesh_policy_ports in use. */
  readonly usedPorts: number;
}

const ROWS_PER_SLICE = 1024;
/** Rows of a set that are written or deleted in one turn of the event loop. */
const ROWS_PER_TURN = 1024;

/** Adopts what the maps hold. */
export function* openSetStore(port: PolicyPort): Slices<SetStore> {
  const classes = yield* openClassStore(port.ports);
  const adopted = yield* adoptSets(port);
  for (const set of adopted.values()) {
    for (const words of [set.others, ...set.rows.values()])
      for (const one of classNumbers(words)) classes.useNumber(one);
    yield;
  }
  const pool = yield* createIndexPool(port.sets.maxEntries, new Set(adopted.keys()));
  let usedPeers = 0;
  for (const { rows } of adopted.values()) usedPeers += rows.size;
  const newSets = new Set<MutableSet>();
  /** Rows in place, with what was there before. */
  const newRows = new Map<MutableSet, Map<number, RowWords | undefined>>();
  /** Classes of rows that were deleted: programs may still read them. */
  let released: number[] = [];

  function release(words: RowWords): void {
    for (const number of classNumbers(words)) classes.release(number);
  }

  /** Uses the classes of a row. */
  function take(row: PeerRow): RowWords {
    for (const one of classesOf(row)) classes.use(one);
    const words = wordsOf(row, classes.numberOf);
    if (words === undefined) throw new Error("Cannot make a row of policy: a class has no number");
    return words;
  }

  function checkPeers(rows: number): void {
    if (usedPeers + rows > port.peers.maxEntries) throw mapFull(port.peers.name, port.peers.maxEntries);
  }

  /** Nothing names these sets. */
  async function free(sets: readonly StoredSet[]): Promise<void> {
    for (const set of sets) {
      for (const chunk of chunksOf(set.rows.keys())) {
        const keys = new Set(chunk.map((identity) => peerKey(set.index, identity)));
        for (const error of (await port.peers.delete(keys)).failed.values()) throw error;
        await nextTurn();
      }
      port.sets.writeBody(set.index, new Uint8Array(PolicySetRow.size));
      for (const words of [set.others, ...set.rows.values()]) release(words);
      usedPeers -= set.rows.size;
      pool.give(set.index);
    }
  }

  /** The row of the others last. Returns the error of a row. */
  async function writeSet(set: StoredSet, check: Check): Promise<Error | undefined> {
    for (const chunk of chunksOf(set.rows)) {
      const entries = chunk.map(([identity, words]) => peerEntry(set, identity, words));
      const [error] = (await port.peers.insert(new Map(entries))).failed.values();
      if (error !== undefined) return error;
      await nextTurn();
      check();
    }
    port.sets.writeBody(set.index, setRow(set.others));
    return undefined;
  }

  /** Returns the rows that are as they were before. */
  async function writeRows(
    set: MutableSet,
    edits: ReadonlyMap<number, RowWords | undefined>,
    failedClasses: ReadonlyMap<number, Error>,
  ): Promise<readonly RowFailure[]> {
    const [inserts, updates] = [new Map<string, Uint8Array>(), new Map<string, Uint8Array>()];
    const errors = new Map<number, Error>();
    for (const [identity, before] of edits) {
      const words = set.rows.get(identity) ?? set.others;
      const error = classError([words], failedClasses);
      if (error !== undefined) errors.set(identity, error);
      else (before === undefined ? inserts : updates).set(...peerEntry(set, identity, words));
    }
    for (const { failed } of [await port.peers.insert(inserts), await port.peers.update(updates)])
      for (const [key, error] of failed) errors.set(PolicyPeerKey.decode(keyBytes(key)).identity, error);
    for (const [identity, before] of edits) {
      if (errors.has(identity)) restore(set, identity, before);
      else if (before !== undefined) released.push(...classNumbers(before));
    }
    return [...errors].map(([identity, error]) => ({ set, identity, error }));
  }

  /** Takes back an edit that was not written. */
  function restore(set: MutableSet, identity: number, before: RowWords | undefined): void {
    const words = set.rows.get(identity);
    if (words !== undefined) release(words);
    if (before !== undefined) set.rows.set(identity, before);
    else if (set.rows.delete(identity)) usedPeers--;
  }

  return {
    adopted,
    wordsOf: (row) => wordsOf(row, classes.numberOf),
    add(set, kept) {
      const extra = [...kept].filter(([identity]) => !set.rows.has(identity as IdentityNumber));
      const distinct = new Set([set.others, ...set.rows.values()]);
      checkPeers(set.rows.size + extra.length);
      classes.checkRoom([...distinct].flatMap(classesOf));
      const index = pool.take();
      if (index === undefined) throw mapFull(port.sets.name, port.sets.maxEntries);
      const made = new Map<PeerRow, RowWords>();
      const wordsFor = (row: PeerRow): RowWords => {
        const known = made.get(row);
        if (known === undefined) {
          const words = take(row);
          made.set(row, words);
          return words;
        }
        for (const number of classNumbers(known)) classes.useNumber(number);
        return known;
      };
      const stored: MutableSet = { index, others: wordsFor(set.others), rows: new Map() };
      for (const [identity, row] of set.rows) stored.rows.set(identity, wordsFor(row));
      for (const [identity, words] of extra) {
        for (const number of classNumbers(words)) classes.useNumber(number);
        stored.rows.set(identity, words);
      }
      usedPeers += stored.rows.size;
      newSets.add(stored);
      return stored;
    },
    setRow(set: MutableSet, identity, row) {
      const before = set.rows.get(identity);
      if (before === undefined) checkPeers(1);
      classes.checkRoom(classesOf(row));
      const words = take(row);
      if (before !== undefined && sameWords(before, words)) {
        release(words);
        return;
      }
      set.rows.set(identity, words);
      if (before === undefined) usedPeers++;
      if (newSets.has(set)) {
        if (before !== undefined) release(before);
        return;
      }
      const edits = newRows.get(set) ?? new Map<number, RowWords | undefined>();
      newRows.set(set, edits);
      if (!edits.has(identity)) edits.set(identity, before);
      else if (before !== undefined) release(before);
    },
    async deleteRows(rows) {
      const gone = new Map<string, readonly [MutableSet, number, RowWords]>();
      for (const [set, identity] of rows) {
        const words = set.rows.get(identity);
        if (words === undefined) continue;
        gone.set(peerKey(set.index, identity), [set as MutableSet, identity, words]);
        (set as MutableSet).rows.delete(identity);
      }
      if (gone.size === 0) return [];
      const { failed } = await port.peers.delete(new Set(gone.keys()));
      const kept: (readonly [StoredSet, number])[] = [];
      for (const [key, [set, identity, words]] of gone) {
        if (!failed.has(key)) {
          released.push(...classNumbers(words));
          usedPeers--;
        } else {
          set.rows.set(identity, words);
          kept.push([set, identity]);
        }
      }
      return kept;
    },
    async write(check) {
      const failedClasses = await classes.write();
      const [sets, rows] = [new Map<StoredSet, Error>(), [] as RowFailure[]];
      for (const set of newSets) {
        const error = classError([set.others, ...set.rows.values()], failedClasses) ?? (await writeSet(set, check));
        if (error === undefined) continue;
        await free([set]);
        sets.set(set, error);
      }
      for (const [set, edits] of newRows) rows.push(...(await writeRows(set, edits, failedClasses)));
      newSets.clear();
      newRows.clear();
      return { sets, rows };
    },
    free,
    takeClasses(most) {
      // Rows that named these are deleted: when this grace period is over, no program has one of them.
      const [cold, numbers] = [released, classes.takeUnused(most)];
      released = [];
      if (cold.length === 0 && numbers.length === 0) return undefined;
      return {
        async free() {
          await classes.free(numbers);
          for (const number of cold) classes.release(number);
        },
      };
    },
    get usedSets() {
      return pool.used;
    },
    get usedPeers() {
      return usedPeers;
    },
    get usedPorts() {
      return classes.used;
    },
  };
}

function peerEntry({ index }: StoredSet, identity: number, words: RowWords): [string, Uint8Array] {
  return [peerKey(index, identity), peerRow(index, identity, words)];
}

/** The error of a class that one of these names. */
function classError(rows: Iterable<RowWords>, failed: ReadonlyMap<number, Error>): Error | undefined {
  if (failed.size === 0) return undefined;
  return [...rows].flatMap(classNumbers).flatMap((number) => failed.get(number) ?? [])[0];
}

function* chunksOf<Item>(items: Iterable<Item>): Generator<readonly Item[]> {
  let chunk: Item[] = [];
  for (const item of items) {
    chunk.push(item);
    if (chunk.length < ROWS_PER_TURN) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}

/** Sets with a row of either map. */
function* adoptSets({ sets, peers }: PolicyPort): Slices<Map<number, MutableSet>> {
  const found = new Map<number, MutableSet>();
  const wordsFor = createRowWords();
  for (const { first, count, view } of readChunks(sets, ROWS_PER_SLICE)) {
    for (let i = first === 0 ? 1 : 0; i < count; i++) {
      const at = i * PolicySetRow.size;
      const words = wordsFor(
        view.getUint32(at + PolicySetRow.offsets.in, true),
        view.getUint32(at + PolicySetRow.offsets.out, true),
      );
      if (words.in !== 0 || words.out !== 0) found.set(first + i, { index: first + i, others: words, rows: new Map() });
    }
    yield;
  }
  for (const part of peers.parts()) {
    for (const [key, value] of part) {
      const { set: index, identity } = PolicyPeerKey.decode(key);
      if (index === 0 || index >= sets.maxEntries) continue;
      const row = PolicyPeerRow.decode(value);
      const set = found.get(index) ?? { index, others: wordsFor(0, 0), rows: new Map<number, RowWords>() };
      found.set(index, set);
      set.rows.set(identity, wordsFor(row.in, row.out));
    }
    yield;
  }
  return found;
}
