/**
 * The kernel as the reconcilers see it: a few methods on raw bytes, so that the same code runs on pinned BPF maps
 * (libs/bpf) and on arrays in memory (libs/testing).
 *
 * Keys and values are the encoded bytes; keys of JavaScript maps are latin1 strings of them (`bytesKey` in libs/model),
 * so "equal" means exactly what the kernel would see. All operations reject with `MeshError` (`MAP_FULL`, `MAP_IO`).
 */
import type { Prefix } from "@isthmus/model";

/** What one batched call did. An entry that failed stays pending; the others are in the kernel. */
export interface Applied {
  /** Keys (latin1) that are now as asked. */
  readonly done: ReadonlySet<string>;
  /** Keys (latin1) that failed, each with its reason. */
  readonly failed: ReadonlyMap<string, Error>;
}

/** A BPF hash: finds an index. Its entries are inserted and deleted, never rewritten (commit rule). */
export interface HashPort {
  readonly name: string;
  /** Sizes in bytes. */
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  /** All entries: key (latin1 of the bytes) to value bytes. */
  load(): Promise<Map<string, Uint8Array>>;
  /** Inserts keys that are not there (`BPF_NOEXIST`); an existing key is a failure of that key. */
  insert(entries: ReadonlyMap<string, Uint8Array>): Promise<Applied>;
  /** Deletes; a key that is not there counts as done. */
  delete(keys: ReadonlySet<string>): Promise<Applied>;
}

/** A BPF array mapped into memory: holds state. What changes under traffic is one aligned word, stored at once. */
export interface ArrayPort {
  readonly name: string;
  /** Size of one entry in bytes, and their number. */
  readonly entrySize: number;
  readonly maxEntries: number;
  /** A copy of `count` entries from `index`. */
  read(index: number, count?: number): Uint8Array;
  /** Plain writes, for entries no program can reach yet. `offset` in bytes inside the entry. */
  writeBody(index: number, bytes: Uint8Array, offset?: number): void;
  /** One aligned 32-bit release store, host byte order. */
  storeWord32(index: number, offset: number, value: number): void;
  /** One aligned 64-bit release store. */
  storeWord64(index: number, offset: number, value: bigint): void;
  /**
   * `writeBody` of many entries: `bytes` in as many equal parts as there are indexes.
   *
   * This and the two below are many writes in one call: a process may die between any two of them. A place outside the
   * map refuses the whole call.
   */
  writeBodies(indexes: Uint32Array, bytes: Uint8Array, offset?: number): void;
  /** `storeWord32` many times, in order: at `offsets[i]` of entry `indexes[i]`. Who sees a word sees all before it. */
  storeWords32(indexes: Uint32Array, offsets: Uint32Array, values: Uint32Array): void;
  /** `storeWord64` many times, in order. */
  storeWords64(indexes: Uint32Array, offsets: Uint32Array, values: BigUint64Array): void;
}

/** A list of address ranges that programs walk: another list takes its place, none is changed. */
export interface RangesPort {
  readonly name: string;
  readonly maxEntries: number;
  /** In the list's order. */
  load(): Promise<readonly Prefix[]>;
  /** Programs walk the old list or the new one; when it rejects, the old one. */
  replace(ranges: readonly Prefix[]): Promise<void>;
}

/** The lines of backend ids: at most 64 mapped arrays ("segments") of 65,536 lines of 64 bytes. */
export interface TablesPort {
  readonly linesPerSegment: number;
  readonly maxSegments: number;
  /** Existing segments, in order. Line number = segment * linesPerSegment + index. */
  readonly segments: readonly ArrayPort[];
  /** Makes one more segment visible to the programs. Rejects with `MAP_FULL` at `maxSegments`. */
  addSegment(): Promise<ArrayPort>;
}

/** All that one node's datapath keeps in the kernel. */
export interface DatapathPort {
  /** `struct frontend_key` to `struct frontend`. */
  readonly frontends: HashPort;
  /** Ranges in which an address without a frontend is refused. */
  readonly serviceRanges: RangesPort;
  /** `struct service`, by service index. */
  readonly services: ArrayPort;
  /** `struct backend`, by backend index. */
  readonly backends: ArrayPort;
  /** `u32` rank word, by cluster id. */
  readonly clusterState: ArrayPort;
  /** `u32` rank word, by node index. */
  readonly nodeState: ArrayPort;
  /** `struct node`, by node index. */
  readonly nodes: ArrayPort;
  /** `struct floor`, by cluster id; 0 = local cluster. */
  readonly floors: ArrayPort;
  readonly tables: TablesPort;
  /** Resolves when no program that began before the call still runs: freed slots may be reused after it. */
  gracePeriod(): Promise<void>;
}
