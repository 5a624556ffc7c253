/**
 * A source as the stream server serves it to agents: the local cluster, or one remote cluster.
 *
 * The index holds the bytes; the source says how fresh they are and catches up when an agent knows more.
 */
import type { ClusterName } from "@isthmus/model";
import type { HopAge, Kind, Position, SourceStatus } from "@isthmus/proto";
import type { SourceIndex } from "@isthmus/records";

export interface StreamSource {
  /** 0 = local cluster. */
  readonly clusterId: number;
  readonly cluster: ClusterName;
  readonly index: SourceIndex;
  state(): StreamSourceState;
  /** The index is exactly what the source holds: only then is a Mark sent and a bucket replaced, for both may delete. */
  proved(): boolean;
  /** While that is so: of this kind, too. Of another one nothing is marked as held, and no bucket replaced. */
  proves(kind: Kind): boolean;
  /** Called when `state()` changed in status or in what is proved; returns the way to stop. Index changes are heard of from the index. */
  onState(listener: () => void): () => void;
  /**
   * An agent's floor is above us, or of a store id that we do not know. Resolves when the source was read again such
   * that its position is at least the floor, or by quorum proved to be of another store id or restored. Rejects only when
   * aborted. `node`: whose floor it is, by its certificate; one that is not believed stays withheld.
   */
  catchUp(floor: Position, signal: AbortSignal, node?: string): Promise<void>;
  /** An agent was begun with: what it brings later, it has from servers of this source. */
  served?(node: string): void;
}

export interface StreamSourceState {
  readonly status: SourceStatus;
  /** kubernetes, store, publisher, …: how old each hop's last sign of life is. */
  readonly hops: readonly HopAge[];
}

/** All sources of this server; the own one first. Peers come and go while it runs. */
export interface StreamSources {
  /** Every peer is known: a cluster that is not here was removed by the operator. */
  readonly complete: boolean;
  readonly all: readonly StreamSource[];
  /** `removed`: the operator removed the peer; agents are told to delete its records. */
  onChange(listener: (change: SourcesChange) => void): () => void;
}

/** Both absent: the set became complete. */
export interface SourcesChange {
  readonly added?: StreamSource;
  readonly removed?: StreamSource;
}
