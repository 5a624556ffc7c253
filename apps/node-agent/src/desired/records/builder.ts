/**
 * The interface of what builds one family of the desired state. A builder is registered in mesh-state.ts, and gets the
 * records of its kinds of every cluster. What may take long is done in slices. Memory only; cluster ids are real ones (not 0 for the local cluster).
 */
import type { Kind } from "@isthmus/proto";
import type { HashedRecord } from "@isthmus/records";
import type { Slices } from "@isthmus/runtime";
import type { RecordDelta, RecordName } from "./record-delta.js";

export interface Builder {
  /** Several builders may have a kind in common: each gets its records. */
  readonly kinds: readonly Kind[];
  /** Throws for a record that cannot be read, and changes nothing then. */
  upsert(clusterId: number, record: HashedRecord): void;
  /** The record may be unknown here: `upsert` may have thrown for it. */
  remove(clusterId: number, record: RecordName): void;
  /** The cluster is in sync for the first time: these are all its records of all kinds; `upsert` gets them afterwards. */
  beginSync?(clusterId: number, records: readonly HashedRecord[]): Slices<void> | undefined;
  /** All upserts of these deltas are taken, and none of their deletions. */
  afterUpserts?(deltas: readonly RecordDelta[], clustersInSync: ReadonlySet<number>): Slices<void> | undefined;
  /** The operator removed the cluster: its records go without a deletion of each. */
  removeCluster?(clusterId: number): Slices<void> | undefined;
}
