/**
 * A cluster's exports as the publisher reads them: all records now, then every change.
 *
 * It must be complete when it is created, after Kubernetes was listed: records that are not in it are deleted from the store.
 */
import type { HashedRecord } from "@isthmus/records";

export interface ExportChange {
  /** New and changed records, in any order. */
  readonly upserts: readonly HashedRecord[];
  /** Keys of records that are gone, in any order. */
  readonly deletes: readonly { readonly key: string }[];
  /** Wall clock, microseconds: when this apiserver observed the newest of the changes. */
  readonly observedMicros: number;
}

export interface ExportSource {
  /** All records as of now; the publisher reads them once, at the start of `run`. */
  records(): Iterable<HashedRecord>;
  /** Calls the listener after the change is in `records()`. Returns a function that removes it. */
  onChange(listener: (change: ExportChange) => void): () => void;
}
