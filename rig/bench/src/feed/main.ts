/**
 * Measures the time from east's list-watch to west's map, at 1,000 changes a second. Leaves Kubernetes out: on two CPUs its API
 * server accepts less than 200 changes a second, which `mesh` measures.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { table } from "@isthmus/model";
import type { FeedSeries } from "./figures.js";

export interface FeedFigures {
  readonly slow: FeedSeries;
  /** The first seconds at full rate, with code that V8 has not compiled yet. */
  readonly warm: FeedSeries;
  readonly fast: FeedSeries;
}

export async function feedMain(): Promise<FeedFigures> {
  const namespace = `mbench-feed-${process.pid}`;
  execFileSync("ip", ["netns", "add", namespace]);
  try {
    execFileSync("ip", ["-n", namespace, "link", "set", "lo", "up"]);
    const run = fileURLToPath(new URL("./run.js", import.meta.url));
    const child = spawn("nsenter", [`--net=/run/netns/${namespace}`, process.execPath, run], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [out, [code]] = await Promise.all([text(child.stdout), once(child, "exit")]);
    if (code !== 0) throw new Error(`Cannot measure: the run ended with ${code}`);
    const figures = JSON.parse(out) as FeedFigures;
    print(figures);
    return figures;
  } finally {
    execFileSync("ip", ["netns", "del", namespace]);
  }
}

function print({ slow, warm, fast }: FeedFigures): void {
  console.log("From a feeder in the place of east's list-watch (no Kubernetes) through etcd to west's map");
  console.log(`${availableParallelism()} CPUs for the store, both apiservers, the agent and who looks\n`);
  const line = (name: string, { perSecond, changes, lost, p50, p99, max }: FeedSeries, reach: string) => [
    name,
    perSecond.toFixed(0),
    `${changes - lost}/${changes}`,
    ...[p50, p99, max].map((value) => `${value.toFixed(value < 10 ? 1 : 0)} ms`),
    reach,
  ];
  process.stdout.write(
    table([
      ["", "RATE/s", "SEEN", "p50", "p99", "MAX", "REACH p99"],
      line("now and then", slow, "<= 100 ms"),
      line("the first 5 s", warm, "-"),
      line("sustained, 20 s", fast, "<= 250 ms at 1,000/s"),
    ]),
  );
}
