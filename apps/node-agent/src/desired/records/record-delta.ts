/** What a stream changes of the records of one cluster: the input of the desired state. */
import type { Kind } from "@isthmus/proto";
import type { HashedRecord } from "@isthmus/records";

export interface RecordName {
  /** The kind that the first segment of `key` names. */
  readonly kind: Kind;
  /** Relative to the cluster, beginning with the segment of the kind: `services/shop/cart`. */
  readonly key: string;
}

export interface RecordDelta {
  /** As on the wire: 0 = local cluster. */
  readonly clusterId: number;
  /** New or changed records; for `first`, all of the source. */
  readonly upserts: readonly HashedRecord[];
  /** Records that are gone; for `removed`, all of the source. */
  readonly deletes: readonly RecordName[];
  /** `first`: all its records, in sync for the first time. `removed`: the operator removed the cluster. */
  readonly transition: "first" | "none" | "removed";
}
