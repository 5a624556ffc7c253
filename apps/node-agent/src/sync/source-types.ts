/** A source as the rest of the agent sees it: what messages change, what is handed on, what is counted. */
import type { Batch, Bucket, Buckets, Kind, Mark, Position, SourceState, SourceStatus } from "@isthmus/proto";
import type { HashedRecord, RecordTable } from "@isthmus/records";

export type SourcePhase = "Empty" | "Loading" | "Proving" | "InSync" | "Repairing";

export interface RecordName {
  readonly kind: Kind;
  readonly key: string;
}

/** What one message changes downstream. */
export interface SourceDelta {
  /** As on the wire: 0 = local cluster. */
  readonly clusterId: number;
  readonly upserts: readonly HashedRecord[];
  readonly deletes: readonly RecordName[];
  /** Written before anything of this is applied; undefined clears it (the source was removed). */
  readonly floor: Position | undefined;
  readonly observedUs: bigint;
  /** With this all of `floor` is applied: it may be acknowledged. False while a live source loads or repairs. */
  readonly whole: boolean;
  /** `first`: all its records, in sync for the first time. `removed`: the operator took it away. */
  readonly turn: "first" | "none" | "removed";
}

/** Things worth counting, by name of the metric's label. */
export type SourceEvent =
  | "below-floor"
  | "gap"
  | "mark-mismatch"
  | "repair-failed"
  | "unnamed-deleted"
  | "malformed-position"
  | "bad-cluster"
  | "unknown-source"
  | "unknown-kind"
  | "bad-record"
  | "bad-bucket";

export interface SourceStep {
  readonly delta?: SourceDelta;
  /** To be sent. */
  readonly buckets?: readonly Buckets[];
  readonly events?: readonly SourceEvent[];
  /** The server fell behind what this agent has applied, or has caught up. */
  readonly behind?: boolean;
  /** The stream must be opened anew: the records cannot be repaired on this one. */
  readonly restart?: boolean;
}

export interface Source {
  readonly clusterId: number;
  readonly name: string;
  readonly phase: SourcePhase;
  readonly status: SourceStatus;
  readonly behind: boolean;
  /** Downstream has its records. */
  readonly live: boolean;
  /** In sync at least once since the start: its deletions count. */
  readonly proven: boolean;
  readonly floor: Position | undefined;
  /** The position of the records in memory; undefined when they cannot be resumed from. */
  readonly have: Position | undefined;
  readonly table: RecordTable;
  state(message: SourceState): SourceStep;
  batch(message: Batch): SourceStep;
  mark(message: Mark): SourceStep;
  bucket(message: Bucket): SourceStep;
  /** A new stream: what was under way on the old one is forgotten. */
  reconnect(): void;
  /** Records of a disk snapshot, for a source without a floor: served, and stale until in sync. */
  restore(records: Iterable<HashedRecord>, position: Position): SourceStep;
}

export interface SourceOptions {
  readonly clusterId: number;
  readonly floor: Position | undefined;
}
