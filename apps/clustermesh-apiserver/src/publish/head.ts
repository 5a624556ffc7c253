/** Encodes the head. It holds the times of changes, since record values contain no clock. */

import { toUint32 } from "@isthmus/model";
import { Head, type HeadState, type KindSum } from "@isthmus/proto";
import { RECORD_VERSION } from "@isthmus/records";
import type { PublisherState } from "./state.js";

export interface HeadContent {
  /** SYNCING until all records are stored: until then no reader takes absence for a deletion. */
  readonly state: HeadState;
  /** Higher than that of every head that this publisher attempted or found in the store. */
  readonly seq: bigint;
  /** Of the stored records of every kind in STORE_KINDS after this txn, each marked as exported. */
  readonly sums: KindSum[];
  /** When the newest change in this txn was observed; 0 = no change. */
  readonly observedMicros: number;
  /** The publisher's wall clock now. */
  readonly wallMicros: number;
}

/** The bytes of the head; beat, epoch and age of Kubernetes are as of this call. */
export function encodeHead({ options, beat }: PublisherState, content: HeadContent): Uint8Array {
  return Head.encode({
    clusterUid: options.claim.uid,
    epoch: options.epoch(),
    seq: content.seq,
    writer: options.instance,
    state: content.state,
    sums: content.sums,
    beat,
    kubeAgeMs: toUint32(options.kubeAgeMs()),
    minReader: RECORD_VERSION,
    capabilities: [],
    observedUs: BigInt(Math.round(content.observedMicros)),
    writtenUs: BigInt(Math.round(content.wallMicros)),
  }).finish();
}
