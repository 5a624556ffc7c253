/**
 * What a cluster exports, as the publisher asks for it: all of it now, and every change from then on.
 *
 * Complete from the start: whoever makes one has listed Kubernetes first. What is not in it is removed from the store.
 */
import type { HashedRecord } from "@isthmus/records";

export interface ExportChange {
  readonly upserts: readonly HashedRecord[];
  readonly deletes: readonly { readonly key: string }[];
  /** Wall clock, microseconds: when this apiserver saw the newest of it. */
  readonly observedMicros: number;
}

export interface ExportSource {
  records(): Iterable<HashedRecord>;
  /** Told after the change is in `records()`. Returns the way to stop. */
  onChange(listener: (change: ExportChange) => void): () => void;
}
