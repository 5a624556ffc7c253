/** The interface of a source: its state, what a message changes downstream, and the events that are counted. */
import type { Batch, Bucket, Buckets, Kind, Mark, PeerState, Position, SourceState } from "@isthmus/proto";
import type { HashedRecord, RecordTable } from "@isthmus/records";
import type { Slices } from "@isthmus/runtime";
import type { RecordDelta } from "../desired/records/record-delta.js";

export type SourcePhase = "Empty" | "Loading" | "Verifying" | "InSync" | "Repairing";

/** What one message changes downstream. */
export interface SourceDelta extends RecordDelta {
  /** Written before anything of this is applied; undefined clears it (the source was removed). */
  readonly floor: Position | undefined;
  /** When the apiserver of origin saw the newest content, in microseconds since the epoch; 0 = unknown. */
  readonly observedUs: bigint;
  /**
   * With this, everything up to `floor` is applied and may be acknowledged. False while a live source loads or repairs.
   */
  readonly whole: boolean;
}

/** Events that are counted: values of the metric's label `event`; docs/reference/drop-reasons.md is made of the comments. */
export type SourceEvent =
  /** Something older than what was applied, as after a switch to another replica; ignored. */
  | "below-floor"
  /** A batch does not follow the last one; what is missing is fetched. */
  | "gap"
  /** The records differ from what the server says that they are; what differs is fetched. */
  | "mark-mismatch"
  /** After a repair the records still differ; the next one follows. Fix: when it repeats, restart clustermesh-apiserver. */
  | "repair-failed"
  /** Records that the server no longer has were deleted, after a comparison. */
  | "unnamed-deleted"
  /** A position that is none of this source; ignored. Fix: run the same version of agent and apiserver. */
  | "malformed-position"
  /** A message about a cluster whose id or name is invalid; ignored. Fix: run the same version of agent and apiserver. */
  | "bad-cluster"
  /** A message about a source that was not announced; ignored. */
  | "unknown-source"
  /** A record of a kind that this version does not know; ignored. Expected while the apiserver is newer than the agent. */
  | "unknown-kind"
  /** A record that cannot be read; ignored. Fix: see the agent's log. */
  | "bad-record"
  /** An answer to a repair that was not asked for; ignored. */
  | "bad-bucket";

export interface SourceStep {
  /** Absent: nothing changes downstream. */
  readonly delta?: SourceDelta;
  /** To be sent: asks for the buckets of one kind that differ. */
  readonly buckets?: Buckets | undefined;
  /** To be counted. */
  readonly events?: readonly SourceEvent[];
  /** The server fell behind what this agent has applied, or has caught up. */
  readonly behind?: boolean;
  /** The stream must be reopened: the records cannot be repaired on this one. */
  readonly reopenStream?: boolean;
}

export interface Source {
  /** As on the wire: 0 = local cluster. */
  readonly clusterId: number;
  /** Of the last SourceState that had one; "" = not announced by a server yet. */
  readonly name: string;
  /** InSync also for a snapshot from disk and after a lost stream, so see `wasInSync`. */
  readonly phase: SourcePhase;
  /** State of the peer at the server, by the last SourceState; unspecified before the first. */
  readonly status: PeerState;
  /** The server's position is below the floor, so it withholds the source; false on a new stream. */
  readonly behind: boolean;
  /** Kinds that the server's last Mark covers, since the start; undefined before the first. */
  readonly exported: ReadonlySet<Kind> | undefined;
  /** Its records were emitted downstream. */
  readonly live: boolean;
  /** In sync at least once since the start: what it does not have may be deleted. */
  readonly wasInSync: boolean;
  /** What is older is ignored; undefined = nothing of the source is in the maps. */
  readonly floor: Position | undefined;
  /** The position of the records in memory; undefined when they cannot be resumed from. */
  readonly have: Position | undefined;
  /** All records in memory, also those that are not emitted. Another one after the source was removed. */
  readonly table: RecordTable;
  /** Takes the state that a server reports; a removed source emits the deletion of all its records. */
  state(message: SourceState): SourceStep;
  /** Takes records; those below the floor are ignored, and a gap begins a repair. */
  batch(message: Batch): SourceStep;
  /** Compares the sums, or keeps it until a repair ends; buckets are asked for of the kinds that differ. */
  mark(message: Mark): SourceStep;
  /** Takes one bucket of a repair; ignored in any other phase. */
  bucket(message: Bucket): SourceStep;
  /** A new stream: ends the first sync or repair that was under way on the old one. */
  reconnect(): void;
  /**
   * Takes the records of a disk snapshot, if the source has no floor: they are served, and stale until it is in sync.
   */
  restore(records: Iterable<HashedRecord>, position: Position): Slices<SourceStep>;
}

export interface SourceOptions {
  /** As on the wire: 0 = local cluster. */
  readonly clusterId: number;
  /** From the pinned map; undefined = it has none. */
  readonly floor: Position | undefined;
}
