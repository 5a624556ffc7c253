/** Encodes messages to agents: once for all agents that get them. */
import { toUint32 } from "@isthmus/model";
import {
  type Batch,
  type Bucket,
  type GoAway,
  type HopAge,
  Kind,
  type KindSum,
  PeerState,
  type Position,
  type Record,
  type SourceState,
  ToAgent,
  type Welcome,
} from "@isthmus/proto";
import type { HashedRecord } from "@isthmus/records";

type Message = NonNullable<ToAgent["message"]>;

function encode(message: Message): Buffer {
  return Buffer.from(ToAgent.encode({ message }).finish());
}

/** The answer to Hello, before all other messages of a stream. */
export const encodeWelcome = (value: Welcome): Buffer => encode({ $case: "welcome", value });
/** The last message of a stream. */
export const encodeGoAway = (value: GoAway): Buffer => encode({ $case: "goAway", value });
/** One chunk of a first sync (`from` absent), or the changes between two positions. */
export const encodeBatch = (value: Batch): Buffer => encode({ $case: "batch", value });
/** Replaces one bucket of a kind at the agent; index 256 replaces none and only ends the exchange. */
export const encodeBucket = (value: Bucket): Buffer => encode({ $case: "bucket", value });

/** `sums`: what the agent must have at `position`; kinds that are not `exported` are not compared. */
export function encodeMark(clusterId: number, position: Position, sums: readonly KindSum[]): Buffer {
  return encode({ $case: "mark", value: { clusterId, position, sums: [...sums] } });
}

export interface StateOf {
  /** 0 = local cluster. */
  readonly clusterId: number;
  /** The name; "" in the removal of a cluster that only the agent knows. */
  readonly cluster: string;
  /** REMOVED makes the agent delete the records of the source. */
  readonly status: PeerState;
  /** The source is withheld from this agent; absent: false. */
  readonly behind?: boolean;
  /** Age of the last contact with each hop in milliseconds; absent: none. */
  readonly hops?: readonly HopAge[];
}

/** Not encoded yet; ages are rounded and kept within 32 bits. */
export function sourceState({ clusterId, cluster, status, behind = false, hops = [] }: StateOf): SourceState {
  // Ages come from other clusters and their clocks, so they may be out of range.
  return { clusterId, cluster, status, behind, hops: hops.map(({ hop, ageMs }) => ({ hop, ageMs: toUint32(ageMs) })) };
}

/** For an agent of the previous version, which gets one state per message. */
export const encodeState = (value: SourceState): Buffer => encode({ $case: "sourceState", value });
/** For agents with the capability `SOURCE_STATES`; in the order given. */
export const encodeStates = (states: readonly SourceState[]): Buffer =>
  encode({ $case: "sourceStates", value: { states: [...states] } });

/** The state of a peer that the operator removed. */
export const removedState = (clusterId: number, cluster: string): SourceState =>
  sourceState({ clusterId, cluster, status: PeerState.PEER_STATE_REMOVED });

/** A record for the wire with its bytes as received, without encoding them again. */
export function wireRecord({ kind, key, value }: HashedRecord): Record {
  return { kind, key, value: Buffer.from(value.buffer, value.byteOffset, value.byteLength) };
}

/** True for records that only one node gets: a node's configuration. */
export const isPersonal = ({ kind }: { readonly kind: Kind }): boolean => kind === Kind.KIND_NODE_CONFIG;
