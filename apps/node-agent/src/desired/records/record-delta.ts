/** What a stream changes of the records of one cluster: the input of the desired state. */
import type { Kind } from "@isthmus/proto";
import type { HashedRecord } from "@isthmus/records";

export interface RecordName {
  readonly kind: Kind;
  readonly key: string;
}

export interface RecordDelta {
  /** As on the wire: 0 = local cluster. */
  readonly clusterId: number;
  readonly upserts: readonly HashedRecord[];
  readonly deletes: readonly RecordName[];
  /** `first`: all its records, in sync for the first time. `removed`: the operator removed the cluster. */
  readonly transition: "first" | "none" | "removed";
}
