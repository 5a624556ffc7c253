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

export const encodeWelcome = (value: Welcome): Buffer => encode({ $case: "welcome", value });
export const encodeGoAway = (value: GoAway): Buffer => encode({ $case: "goAway", value });
export const encodeBatch = (value: Batch): Buffer => encode({ $case: "batch", value });
export const encodeBucket = (value: Bucket): Buffer => encode({ $case: "bucket", value });

export function encodeMark(clusterId: number, position: Position, sums: readonly KindSum[]): Buffer {
  return encode({ $case: "mark", value: { clusterId, position, sums: [...sums] } });
}

export interface StateOf {
  readonly clusterId: number;
  readonly cluster: string;
  readonly status: PeerState;
  readonly behind?: boolean;
  readonly hops?: readonly HopAge[];
}

export function sourceState({ clusterId, cluster, status, behind = false, hops = [] }: StateOf): SourceState {
  // Ages come from other clusters and their clocks, so they may be out of range.
  return { clusterId, cluster, status, behind, hops: hops.map(({ hop, ageMs }) => ({ hop, ageMs: toUint32(ageMs) })) };
}

export const encodeState = (value: SourceState): Buffer => encode({ $case: "sourceState", value });
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
