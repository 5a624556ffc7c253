/**
 * The records of all feeds (pure).
 *
 * In: changes of objects, which the feeds have taken, and the cluster's settings. Out of `takeChanges`: the record changes of all
 * feeds since the last call, for the local stream and for export, and new notes.
 */
import type { Feed, FeedChanges, LocalSettings } from "./feed/feed.js";
import type { RecordChange } from "./feed/record-diff.js";

export interface LocalRecords {
  /** Backends and node ranges outside the pod ranges are not exported. */
  configure(settings: LocalSettings): void;
  /** What changed since the last call, over all feeds in their order. */
  takeChanges(): FeedChanges;
  /** Call when the changes of the last `takeChanges` are in the indexes: feeds report them to their listeners. */
  applied(): void;
}

/** Feeds without records are those that are joined with others. */
export function createLocalRecords(feeds: readonly Feed[]): LocalRecords {
  const all = feeds.flatMap(({ records }) => records ?? []);
  return {
    configure(settings) {
      for (const records of all) records.configure(settings);
    },
    takeChanges() {
      const changes = all.map((records) => records.takeChanges());
      return {
        local: joined(changes.map(({ local }) => local)),
        exported: joined(changes.map(({ exported }) => exported)),
        notes: changes.flatMap(({ notes }) => notes),
      };
    },
    applied() {
      for (const records of all) records.applied?.();
    },
  };
}

function joined(changes: readonly RecordChange[]): RecordChange {
  return {
    upserts: changes.flatMap(({ upserts }) => upserts),
    deletes: changes.flatMap(({ deletes }) => deletes),
  };
}
