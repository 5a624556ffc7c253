/**
 * From a change in east's Kubernetes API to the map of a node in west.
 *
 * The clock starts when the request is sent, so the API server's own work is in it, and stops when the node's pinned map,
 * looked at every millisecond, holds another row. Each Service has at most one change under way.
 */
import { pinDirectory } from "@isthmus/lab";
import { systemClock } from "@isthmus/model";
import { percentile } from "../datapath/stats.js";
import { makeServices, setEndpoints } from "./bench-services.js";
import type { BenchLab } from "./lab.js";
import { openServiceRows, type ServiceRows } from "./service-rows.js";

export interface Series {
  /** Changes a second that were really made; 0 = one after another. */
  readonly ratePerSecond: number;
  readonly changes: number;
  /** Of `changes`, not in the map within 10 s. */
  readonly lost: number;
  /** Milliseconds from the request sent. */
  readonly fromRequestMs: Spread;
  /** Milliseconds from the API server's answer; the map may be first. */
  readonly fromAnswerMs: Spread;
}

export interface Spread {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
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
  /** NaN: never seen. */
  seen: number;
}

export async function measurePropagation(lab: BenchLab, changes: number, rate: number): Promise<PropagationFigures> {
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
    const idle: Change[] = [];
    for (let n = 0; n < changes; n++) idle.push(await change(n % SERVICES));
    const began = systemClock.now();
    const sustained = await openLoop(changes, rate, began, change);
    const took = (systemClock.now() - began) / 1000;
    return { idle: series(idle, 0), sustained: series(sustained, Math.min(rate, changes / took)) };
  } finally {
    rows.close();
  }
}

/** Until every frontend is in the map and its Service has a backend. */
async function arrived(rows: ServiceRows, frontends: readonly string[]): Promise<readonly number[]> {
  const deadline = systemClock.now() + 60_000;
  for (;;) {
    const found = await rows.frontends();
    const indexes = frontends.map((frontend) => found.get(frontend) ?? 0);
    if (indexes.every((index) => index !== 0 && /[^\0]/.test(rows.read(index).slice(0, 32)))) return indexes;
    if (systemClock.now() > deadline) throw new Error("Cannot measure: the Services did not arrive within 60 s");
    await systemClock.delay(200);
  }
}

async function follow(lab: BenchLab, rows: ServiceRows, i: number, index: number, endpoints: number): Promise<Change> {
  const before = rows.read(index);
  const change: Change = { sent: performance.now(), answered: Number.NaN, seen: Number.NaN };
  const answered = setEndpoints(lab, i, endpoints).then(() => {
    change.answered = performance.now();
  });
  while (Number.isNaN(change.seen) && performance.now() - change.sent < GIVE_UP_MS) {
    await systemClock.delay(1);
    if (rows.read(index) !== before) change.seen = performance.now();
  }
  await answered;
  return change;
}

/** `rate` changes a second whatever becomes of those before. */
async function openLoop(
  count: number,
  rate: number,
  began: number,
  change: (i: number) => Promise<Change>,
): Promise<Change[]> {
  const under: Promise<Change>[] = [];
  for (let n = 0; n < count; n++) {
    const waitMs = began + (n * 1000) / rate - systemClock.now();
    if (waitMs > 0) await systemClock.delay(waitMs);
    // A Service whose last change has not arrived yet is waited for: the rate falls, and is reported as it was.
    await under[n - SERVICES];
    under.push(change(n % SERVICES));
  }
  return Promise.all(under);
}

function series(changes: readonly Change[], ratePerSecond: number): Series {
  const seen = changes.filter(({ seen: at }) => !Number.isNaN(at));
  return {
    ratePerSecond,
    changes: changes.length,
    lost: changes.length - seen.length,
    fromRequestMs: spread(seen.map((change) => change.seen - change.sent)),
    fromAnswerMs: spread(seen.map((change) => Math.max(0, change.seen - change.answered))),
  };
}

function spread(times: readonly number[]): Spread {
  return { p50: percentile(times, 50), p99: percentile(times, 99), max: Math.max(...times) };
}
