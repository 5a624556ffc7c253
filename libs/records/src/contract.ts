/** The numbers that the clusters of a mesh, apiservers and agents must agree on, each defined once. */

/** Version of the records that a publisher writes, and the newest that a reader understands; a head's `min_reader` is compared with it. */
export const RECORD_VERSION = 1;

/** Version of the stream between apiserver and agent. */
export const PROTOCOL_VERSION = 1;

/** Interval between two heads of a publisher without changes, in milliseconds. */
export const BEAT_MS = 5_000;

/** A head, or the last contact with Kubernetes, that is older is stale (milliseconds). A writer that old has stopped. */
export const STALE_MS = 3 * BEAT_MS;

/** Buckets of a kind: records are compared by the sums of their buckets. */
export const BUCKETS = 256;

/** Bits of `Backend.conditions`, as in an EndpointSlice. */
export const BackendCondition = { Ready: 1, Serving: 2, Terminating: 4 } as const;

/** Bits of `Node.conditions`. */
export const NodeConditionBit = { Ready: 1, Unschedulable: 2 } as const;
