/**
 * Measures propagation from a change in east's Kubernetes API to the map of a node in west.
 *
 * The time starts when the request is sent, so it includes the API server's work, and ends when the row in the node's pinned map,
 * which is read every millisecond, has changed. Each Service has at most one change in flight.
 */
import { pinDirectory } from "@isthmus/lab";
import { systemClock } from "@isthmus/model";
import { waitFor } from "@isthmus/runtime";
import { makeServices, setEndpoints } from "./bench-services.js";
import type { BenchLab } from "./lab.js";
import { openServiceRows, type ServiceRows } from "./service-rows.js";
import { type Spread, spread } from "./spread.js";

export interface Series {
  /** Number of concurrent changes. */
  readonly writers: number;
  /** Resulting changes per second. */
  readonly ratePerSecond: number;
  readonly changes: number;
  /** The number of `changes` that were not in the map within 10 s. */
  readonly lost: number;
  /** Milliseconds from sending the request. */
  readonly fromRequestMs: Spread;
  /** Milliseconds from the API server's response; 0 when the map changed before it. */
  readonly fromAnswerMs: Spread;
}

export interface PropagationFigures {
  readonly idle: Series;
  readonly sustained: Series;
}

const SERVICES = 200;
const GIVE_UP_MS = 10_000;

interface Change {
  readonly sent: number;
  answered: number;
  /** When the map changed; NaN if it did not. */
  arrivedAt: number;
}

export async function measurePropagation(lab: BenchLab, changes: number, writers: number): Promise<PropagationFigures> {
  const node = lab.west.plan.nodes[0];
  if (node === undefined) throw new Error("Cannot measure without a node");
  const rows = openServiceRows(pinDirectory(lab.lab.plan, node));
  try {
    const frontends = await makeServices(lab, SERVICES);
    const indexes = await arrived(rows, frontends);
    const endpoints = new Array<number>(SERVICES).fill(1);
    const change = (i: number) => {
      const now = endpoints[i] === 1 ? 2 : 1;
      endpoints[i] = now;
      return follow(lab, rows, i, indexes[i] ?? 0, now);
    };
    const run = async (count: number) => {
      const began = systemClock.now();
      const made = await byWriters(changes, count, change);
      return series(made, count, (changes * 1000) / (systemClock.now() - began));
    };
    return { idle: await run(1), sustained: await run(writers) };
  } finally {
    rows.close();
  }
}

/** Waits until every frontend is in the map and its Service has a backend. */
async function arrived(rows: ServiceRows, frontends: readonly string[]): Promise<readonly number[]> {
  async function look(): Promise<readonly number[] | false> {
    const found = await rows.frontends();
    const indexes = frontends.map((frontend) => found.get(frontend) ?? 0);
    return indexes.every((index) => index !== 0 && /[^\0]/.test(rows.read(index).slice(0, 32))) && indexes;
  }
  return waitFor("the Services to arrive", look, { timeoutMs: 60_000, everyMs: 200 });
}

async function follow(lab: BenchLab, rows: ServiceRows, i: number, index: number, endpoints: number): Promise<Change> {
  const before = rows.read(index);
  const change: Change = { sent: performance.now(), answered: Number.NaN, arrivedAt: Number.NaN };
  const answered = setEndpoints(lab, i, endpoints).then(() => {
    change.answered = performance.now();
  });
  while (Number.isNaN(change.arrivedAt) && performance.now() - change.sent < GIVE_UP_MS) {
    await systemClock.delay(1);
    if (rows.read(index) !== before) change.arrivedAt = performance.now();
  }
  await answered;
  return change;
}

/** Runs `writers` concurrent loops, each of which starts its next change when its last one has arrived. */
async function byWriters(count: number, writers: number, change: (i: number) => Promise<Change>): Promise<Change[]> {
  const changes: Change[] = [];
  let next = 0;
  const writer = async (): Promise<void> => {
    for (let n = next++; n < count; n = next++) changes.push(await change(n % SERVICES));
  };
  await Promise.all(Array.from({ length: writers }, writer));
  return changes;
}

function series(changes: readonly Change[], writers: number, ratePerSecond: number): Series {
  const seen = changes.filter(({ arrivedAt: at }) => !Number.isNaN(at));
  return {
    writers,
    ratePerSecond,
    changes: changes.length,
    lost: changes.length - seen.length,
    fromRequestMs: spread(seen.map((change) => change.arrivedAt - change.sent)),
    fromAnswerMs: spread(seen.map((change) => Math.max(0, change.arrivedAt - change.answered))),
  };
}
