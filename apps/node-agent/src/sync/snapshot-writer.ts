/**
 * Writes the records of each source to disk, in the background, after they changed.
 *
 * Never part of what is applied: an old snapshot is only an older start after a reboot. The more there is to encode the
 * more seldom it is done, so that it never costs more than a few percent.
 */
import type { Clock } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import type { Position } from "@isthmus/proto";
import type { SyncCore } from "./core.js";
import { encodeSnapshot } from "./snapshot.js";
import type { StateFiles } from "./state-files.js";

export interface SnapshotModules {
  readonly core: SyncCore;
  readonly files: StateFiles;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

const INTERVAL_MS = 2000;
/** Encoding may take one part in so many of the time. */
const SHARE = 50;

/** Resolves when aborted. */
export async function createSnapshotWriter(modules: SnapshotModules): Promise<void> {
  const { core, files, clock, log, signal } = modules;
  const saved = new Map<number, Position>();
  while (!signal.aborted) {
    const started = clock.now();
    for (const source of core.sources.values()) {
      if (!source.proven || source.have === undefined || saved.get(source.clusterId) === source.have) continue;
      const { clusterId, have } = source;
      try {
        await files.saveSnapshot(clusterId, encodeSnapshot(clusterId, have, source.table.records()));
        saved.set(clusterId, have);
      } catch (error) {
        log.warn("Snapshot not written", { clusterId, error });
      }
    }
    for (const clusterId of [...saved.keys()]) {
      if (core.sources.has(clusterId)) continue;
      saved.delete(clusterId);
      await files.deleteSnapshot(clusterId);
    }
    const wait = Math.max(INTERVAL_MS, SHARE * (clock.now() - started));
    await clock.delay(wait, signal).catch(() => undefined);
  }
}
