/**
 * Runs programs that read maps on worker threads while this thread writes; the programs count errors
 * (bpf/tests/race.h).
 */
import type { TestContext } from "node:test";
import { native } from "../native.js";
import type { TestObject } from "./objects.js";

/** Runs of one program in one round. */
export const RUNS = 500_000;
export const READERS = 2;

/** enum race_count */
export interface Counts {
  readonly reads: number;
  readonly mixed: number;
  readonly lost: number;
  readonly none: number;
  readonly churned: number;
  readonly torn: number;
}

/** Runs each program `rounds` times on every thread, and calls `write` repeatedly on this thread until all are done. */
export async function race(
  t: TestContext,
  loaded: TestObject,
  programs: readonly string[],
  rounds: number,
  write: () => Promise<void>,
  runs = RUNS,
): Promise<Counts> {
  const counts = loaded.array("mesh_test_counts");
  let reading = true;
  const readers = Array.from({ length: READERS }, async () => {
    for (let round = 0; round < rounds; round++) {
      for (const name of programs) await native().testRun(loaded.program(name), new Uint8Array(64), runs);
    }
  });
  const all = Promise.all(readers).finally(() => {
    reading = false;
  });
  let writes = 0;
  while (reading) {
    await write();
    writes++;
  }
  await all;
  const [reads = 0, mixed = 0, lost = 0, none = 0, churned = 0, torn = 0] = [
    ...new BigUint64Array(counts.read(0, 8).buffer),
  ].map(Number);
  t.diagnostic(
    `${reads} reads during ${writes} rounds of writes: ${mixed} mixed, ${lost} lost, ${none} without a backend, ${torn} torn`,
  );
  return { reads, mixed, lost, none, churned, torn };
}
