/**
 * All maps of one node's datapath, as their readers and writers see them: pinned BPF maps (datapath.ts) or arrays in
 * memory (libs/testing).
 */
import type { ArrayPort, HashPort, RangesPort, RewritableHashPort } from "@isthmus/reconcile";

/** The lines of backend ids, in at most 64 mapped arrays ("segments") of 65,536 lines of 64 bytes. */
export interface TablesPort {
  /** The same for all segments: 65,536. */
  readonly linesPerSegment: number;
  /** Most segments that can exist: 64. */
  readonly maxSegments: number;
  /** Existing segments, in order. Line number = segment * linesPerSegment + index. */
  readonly segments: readonly ArrayPort[];
  /** Adds a segment that programs can use. Rejects with `MAP_FULL` at `maxSegments`. */
  addSegment(): Promise<ArrayPort>;
}

/** The maps with the policies of pods and the identities of addresses, in mode `packets`. */
export interface PolicyPort {
  /** `struct policy_set_row`, by set. Row 0 is `struct policy_state_row`. */
  readonly sets: ArrayPort;
  /** `struct policy_peer_key` to `struct policy_peer_row`. */
  readonly peers: RewritableHashPort;
  /** `struct policy_port_key` to `struct policy_port_row`, by longest prefix. */
  readonly ports: HashPort;
  /** `struct ipcache_key` to `struct ipcache_row`. */
  readonly addresses: RewritableHashPort;
  /** `struct ipcache_prefix_key` to `struct ipcache_row`, by longest prefix. */
  readonly prefixes: RewritableHashPort;
}

/** All maps of one node's datapath. */
export interface DatapathPort {
  /** `struct frontend_key` to `struct frontend`. */
  readonly frontends: HashPort;
  /** Ranges in which connects to an address without a frontend are refused. */
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
  /** The lines with the backend ids of all tiers. */
  readonly tables: TablesPort;
  /** Resolves when no program that began before the call still runs, so that freed slots may be reused. */
  gracePeriod(): Promise<void>;
}
