/** Messages to agents as bytes: encoded once, written to many. */
import { toUint32 } from "@isthmus/model";
import {
  type Batch,
  type Bucket,
  type GoAway,
  type HopAge,
  Kind,
  type KindSum,
  type Position,
  type Record,
  SourceStatus,
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
  readonly status: SourceStatus;
  readonly behind?: boolean;
  readonly hops?: readonly HopAge[];
}

export function encodeState(state: StateOf): Buffer {
  const { clusterId, cluster, status } = state;
  // Ages come from other clusters' words and other clocks.
  const hops = (state.hops ?? []).map(({ hop, ageMs }) => ({ hop, ageMs: toUint32(ageMs) }));
  const value = { clusterId, cluster, status, behind: state.behind === true, hops };
  return encode({ $case: "sourceState", value });
}

/** The operator took the peer away. */
export const encodeRemoved = (clusterId: number, cluster: string): Buffer =>
  encodeState({ clusterId, cluster, status: SourceStatus.SOURCE_STATUS_REMOVED });

/** The bytes as they were received: never encoded again. */
export function wireRecord({ kind, key, value }: HashedRecord): Record {
  return { kind, key, value: Buffer.from(value.buffer, value.byteOffset, value.byteLength) };
}

/** Only its own node gets a node's configuration. */
export const isPersonal = ({ kind }: { readonly kind: Kind }): boolean => kind === Kind.KIND_NODE_CONFIG;
