/**
 * The interfaces to the kernel that reconcilers use: a few methods on raw bytes, so that the same code runs on pinned
 * BPF maps (libs/bpf) and on arrays in memory (libs/testing).
 *
 * Keys and values are the encoded bytes; keys of JavaScript maps are latin1 strings of them (`bytesKey` in libs/model),
 * so "equal" means equal for the kernel. All operations reject with `MeshError` (`MAP_FULL`, `MAP_IO`).
 */
import type { Prefix } from "@isthmus/model";

/** The result of one batched call. Entries that failed stay pending; the others are in the kernel. */
export interface BatchResult {
  /** Keys (latin1) that were inserted or deleted. */
  readonly done: ReadonlySet<string>;
  /** Keys (latin1) that failed, each with its error. */
  readonly failed: ReadonlyMap<string, Error>;
}

/** Key and value of an entry, as bytes. */
export type HashEntry = readonly [key: Uint8Array, value: Uint8Array];

/** A BPF hash, which maps keys to indexes. Entries are inserted and deleted, never overwritten (commit rule). */
export interface HashPort {
  /** As in errors: that of the pin. */
  readonly name: string;
  /** Sizes in bytes. */
  readonly keySize: number;
  /** Every value has exactly this size. */
  readonly valueSize: number;
  /** Most entries; an insert above it fails with `MAP_FULL`. */
  readonly maxEntries: number;
  /** Reads all entries: key (latin1 of the bytes) to value bytes. */
  load(): Promise<Map<string, Uint8Array>>;
  /**
   * Reads the entries a thousand at a time, as they are when each part is taken: one that is added or deleted meanwhile
   * may be missing, and after a deletion others may come twice. For showing them.
   */
  parts(): Generator<readonly HashEntry[], void>;
  /** Looks one key up, as programs do: in a longest-prefix trie the entry of the longest prefix. A copy; undefined: no entry. */
  get(key: Uint8Array): Uint8Array | undefined;
  /** Inserts new keys (`BPF_NOEXIST`); a key that exists already fails. */
  insert(entries: ReadonlyMap<string, Uint8Array>): Promise<BatchResult>;
  /** Deletes keys; a key that does not exist counts as done. */
  delete(keys: ReadonlySet<string>): Promise<BatchResult>;
}

/** A BPF hash in which programs insert and delete entries too. */
export interface SharedHashPort extends HashPort {
  /**
   * Deletes the entries that have these values. A key that has another value by now, or none, counts as done: what it has
   * stays.
   */
  deleteUnchanged(entries: ReadonlyMap<string, Uint8Array>): Promise<BatchResult>;
}

/**
 * A BPF hash whose entries are also rewritten. A program that looks an entry up meanwhile gets its old value, its new one, or
 * another entry's, which it must be able to tell.
 */
export interface RewritableHashPort extends HashPort {
  /** Gives these keys these values, those that exist by one update each. */
  update(entries: ReadonlyMap<string, Uint8Array>): Promise<BatchResult>;
}

/** A BPF array that is mapped into memory. Under traffic only single aligned words are changed, by one store each. */
export interface ArrayPort {
  /** As in errors: that of the pin. */
  readonly name: string;
  /** Size of one entry in bytes, and their number. */
  readonly entrySize: number;
  /** Indexes are below it. */
  readonly maxEntries: number;
  /** Copies `count` entries from `index` on. */
  read(index: number, count?: number): Uint8Array;
  /** Plain writes, for entries that no program can reach yet. `offset` is in bytes inside the entry. */
  writeBody(index: number, bytes: Uint8Array, offset?: number): void;
  /** One aligned 32-bit release store, host byte order. */
  storeWord32(index: number, offset: number, value: number): void;
  /** One aligned 64-bit release store. */
  storeWord64(index: number, offset: number, value: bigint): void;
  /**
   * `writeBody` of many entries: `bytes` is split into as many equal parts as there are indexes.
   *
   * This method and the two below make many writes in one call, and the process may die between any two of them. If any
   * index or offset is outside the map, the call fails before the first write.
   */
  writeBodies(indexes: Uint32Array, bytes: Uint8Array, offset?: number): void;
  /**
   * `storeWord32` many times, in order: at `offsets[i]` of entry `indexes[i]`. A program that sees a word also sees all
   * earlier ones.
   */
  storeWords32(indexes: Uint32Array, offsets: Uint32Array, values: Uint32Array): void;
  /** `storeWord64` many times, in order. */
  storeWords64(indexes: Uint32Array, offsets: Uint32Array, values: BigUint64Array): void;
}

/** A list of address ranges that programs search. A list is never changed, only replaced by another one. */
export interface RangesPort {
  /** As in errors: that of the pin. */
  readonly name: string;
  /** Most ranges in a list; `replace` rejects a longer one with `MAP_FULL`. */
  readonly maxEntries: number;
  /** Reads the ranges in the order of the list. */
  load(): Promise<readonly Prefix[]>;
  /** The same at once: a list is short. */
  read(): readonly Prefix[];
  /** Programs see either the old list or the new one. When it rejects, the old one stays. */
  replace(ranges: readonly Prefix[]): Promise<void>;
}
