/**
 * Writes the records of each source to disk, in the background, after they changed.
 *
 * An apply never waits for it: an old snapshot only means an older state after a reboot. Each part is encoded when the
 * part before it is written, from a list of the records at one position. The more there is to encode, the longer is the
 * interval, so that this never takes more than a few percent of the time.
 */
import type { Clock } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import type { Position } from "@isthmus/proto";
import { sleep } from "@isthmus/runtime";
import type { SyncCore } from "./core.js";
import { encodeSnapshot } from "./snapshot.js";
import type { StateFiles } from "./state-files.js";

export interface SnapshotModules {
  /** Its sources are read, never changed. */
  readonly core: SyncCore;
  /** One snapshot for each source; that of a source that is gone is deleted. */
  readonly files: StateFiles;
  /** The sources that had a snapshot at the start, by cluster id. */
  readonly present: Iterable<number>;
  /** Times how long the writes took, and the waits. */
  readonly clock: Clock;
  /** Gets each snapshot that cannot be written or deleted; both are tried again. */
  readonly log: Logger;
  /** Ends the loop after the round under way. */
  readonly signal: AbortSignal;
}

const INTERVAL_MS = 2000;
/** The wait is at least this many times as long as the last encoding and writing took. */
const SHARE = 50;

/** Resolves when the signal aborts. */
export async function runSnapshotWriter(modules: SnapshotModules): Promise<void> {
  const { core, files, clock, log, signal } = modules;
  /** The position of each source's file; undefined for one of another process. */
  const saved = new Map<number, Position | undefined>();
  for (const clusterId of modules.present) saved.set(clusterId, undefined);
  while (!signal.aborted) {
    const started = clock.now();
    for (const source of core.sources.values()) {
      if (!source.wasInSync || source.have === undefined || saved.get(source.clusterId) === source.have) continue;
      const { clusterId, have } = source;
      try {
        await files.saveSnapshot(clusterId, encodeSnapshot(clusterId, have, [...source.table.records()]));
        saved.set(clusterId, have);
      } catch (error) {
        log.warn("Cannot write snapshot", { clusterId, error });
      }
    }
    for (const clusterId of [...saved.keys()]) {
      if (core.sources.has(clusterId)) continue;
      try {
        await files.deleteSnapshot(clusterId);
        saved.delete(clusterId);
      } catch (error) {
        log.warn("Cannot delete snapshot", { clusterId, error });
      }
    }
    const wait = Math.max(INTERVAL_MS, SHARE * (clock.now() - started));
    await sleep(clock, wait, signal);
  }
}
