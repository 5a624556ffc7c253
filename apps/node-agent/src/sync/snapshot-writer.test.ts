import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLogger } from "@isthmus/observe";
import { createFakeClock, settle } from "@isthmus/testing";
import type { SyncCore } from "./core.js";
import { runSnapshotWriter } from "./snapshot-writer.js";
import type { StateFiles } from "./state-files.js";

test("a snapshot of an earlier process is deleted with its source; a deletion that fails is logged and tried again", async () => {
  const clock = createFakeClock();
  const stop = new AbortController();
  const sources = new Map([[7, { clusterId: 7, wasInSync: false, have: undefined }]]);
  const deleted: number[] = [];
  let broken = true;
  const warnings: string[] = [];
  const files = {
    async deleteSnapshot(clusterId: number) {
      if (broken) throw new Error("read-only file system");
      deleted.push(clusterId);
    },
  };
  const running = runSnapshotWriter({
    core: { sources } as unknown as SyncCore,
    files: files as unknown as StateFiles,
    present: [7],
    clock,
    log: { ...silentLogger, warn: (message) => void warnings.push(message) },
    signal: stop.signal,
  });
  await clock.advance(2000);
  assert.deepEqual([deleted, warnings], [[], []]);
  sources.clear();
  await clock.advance(2000);
  await settle();
  assert.deepEqual(warnings, ["Cannot delete snapshot"]);
  broken = false;
  await clock.advance(2000);
  await clock.advance(2000);
  assert.deepEqual(deleted, [7]);
  stop.abort();
  await running;
});
