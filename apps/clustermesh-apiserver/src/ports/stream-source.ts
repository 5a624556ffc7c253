/**
 * A source as the stream server serves it to agents: the local cluster, or one remote cluster.
 *
 * The index holds the records; the source reports their age and catches up when an agent has a newer position.
 */
import type { ClusterName } from "@isthmus/model";
import type { HopAge, Kind, PeerState, Position } from "@isthmus/proto";
import type { SourceIndex } from "@isthmus/records";

export interface StreamSource {
  /** 0 = local cluster. */
  readonly clusterId: number;
  /** Sent to agents with the state; labels metrics, and names the cluster in conditions of Services. */
  readonly cluster: ClusterName;
  /** Only the source changes it; the stream server reads it and listens to it. */
  readonly index: SourceIndex;
  /** Computed at each call. */
  state(): StreamSourceState;
  /** True when the index is verified to equal the source: only then are Marks and buckets sent, since both may delete records. */
  isVerified(): boolean;
  /** True when `isVerified()` covers this kind. Marks do not cover other kinds, and their buckets are not replaced. */
  verifiesAbsence(kind: Kind): boolean;
  /** Calls the listener when the status or `isVerified()` changed; returns the unsubscribe function. The index reports its own changes. */
  onState(listener: () => void): () => void;
  /**
   * For an agent whose floor is above this source's position, or of an unknown store id. Resolves when the source has reached
   * the floor, or when a quorum read verified that the source has another store id or was restored. Rejects only when aborted.
   * `node`: the agent's node by its certificate; the source stays withheld from an agent whose floor is not believed.
   */
  catchUp(floor: Position, signal: AbortSignal, node?: string): Promise<void>;
  /** Called when content is being sent to a node: positions that its agent reports later are from servers of this source. */
  onServed?(node: string): void;
}

export interface StreamSourceState {
  /** For the local cluster Syncing, InSync or Stale; for a peer any of PEER_STATES. */
  readonly status: PeerState;
  /** Age of the last contact with each hop: kubernetes, store, publisher, … */
  readonly hops: readonly HopAge[];
}

/** All sources of this server, the local cluster first. Peers are added and removed while it runs. */
export interface StreamSources {
  /** True when every peer is known: a cluster that is absent was removed by the operator. */
  readonly complete: boolean;
  /** Changes in place as sources are added and removed: copy it to keep it. */
  readonly all: readonly StreamSource[];
  /** `removed`: the operator removed the peer; agents must delete its records. */
  onChange(listener: (change: SourcesChange) => void): () => void;
}

/** Both absent: the set became complete. */
export interface SourcesChange {
  /** Already in `all`. */
  readonly added?: StreamSource;
  /** No longer in `all`. */
  readonly removed?: StreamSource;
}
