/**
 * Runs everything between a feeder and a map inside one network namespace: a real etcd with mutual TLS and fsync, east's
 * publisher, west's reader and stream server, the real agent, each as a process. Started by main.ts; prints one JSON line.
 */
import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createMappedArray, MAP_NAMES, native, removePins } from "@isthmus/bpf";
import { makeCgroup, uniqueName } from "@isthmus/bpf/testing";
import { createStore, provisionCluster, provisionStore } from "@isthmus/kvstore";
import { startEtcd } from "@isthmus/kvstore/testing";
import { waitFor } from "@isthmus/runtime";
import { agentCommand, makeCertificates, removeCgroups, SERVER } from "../agent-process.js";
import { openServiceRows } from "../control-plane/service-rows.js";
import type { EastNotice, EastOrder } from "./east.js";
import { type FeedSeries, feedSeries } from "./figures.js";
import type { Moment } from "./moment.js";
import { clusterIp, EAST, PORT, WEST } from "./objects.js";
import { watchRows } from "./watch-rows.js";
import type { WestOrder } from "./west.js";

const SERVICES = 2_000;
const SETTLE_MS = 5_000;
const ARRIVE_MS = 60_000;
const undo: (() => unknown)[] = [];
const here = (file: string) => fileURLToPath(new URL(file, import.meta.url));

/** Registers a clean-up step; the newest runs first, and promises are awaited. */
function later(step: () => unknown): void {
  undo.unshift(step);
}

function follow(child: ChildProcess): ChildProcess {
  const ended = once(child, "exit");
  later(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  return child;
}

async function startParts(folder: string, pins: string, cgroup: string): Promise<ChildProcess> {
  const etcd = await startEtcd({ tls: true, flags: ["--unsafe-no-fsync=false"] });
  later(() => etcd.close());
  const owner = createStore(await etcd.options("root"));
  await provisionStore(owner);
  for (const { cluster, id } of [EAST, WEST]) await provisionCluster(owner, cluster, id);
  owner.close();
  const tls = await makeCertificates(folder);
  const east = follow(fork(here("./east.js")));
  const started = answer(east, "started");
  order(east, { is: "start", store: await etcd.options("east"), services: SERVICES });
  await started;
  const west = follow(fork(here("./west.js")));
  const serve: WestOrder = {
    store: await etcd.options("west"),
    services: SERVICES,
    address: SERVER,
    tlsDir: tls.server,
  };
  west.send(serve);
  startAgent(folder, pins, cgroup, tls.agent);
  return east;
}

function startAgent(folder: string, pins: string, cgroup: string, tlsDir: string): void {
  const [program, args] = agentCommand({ root: join(folder, "root"), cgroup, pins, tlsDir });
  const env = { ...process.env, MESH_LOG: "warn" };
  follow(spawn(program, args, { stdio: ["ignore", "ignore", "inherit"], env }));
  later(() => removePins(pins));
}

function order(east: ChildProcess, what: EastOrder): void {
  east.send(what);
}

function answer<Is extends EastNotice["is"]>(east: ChildProcess, is: Is): Promise<EastNotice & { is: Is }> {
  return new Promise((resolve) => {
    const hear = (notice: EastNotice) => {
      if (notice.is !== is) return;
      east.off("message", hear);
      resolve(notice as EastNotice & { is: Is });
    };
    east.on("message", hear);
  });
}

/** Waits until each Service has a backend; returns their rows. */
async function rowsOf(pins: string): Promise<readonly number[]> {
  async function look(): Promise<readonly number[] | false> {
    const rows = existsSync(join(pins, MAP_NAMES.frontends)) ? await readRows(pins) : [];
    return rows.length === SERVICES && rows;
  }
  return waitFor("the Services to arrive", look, { timeoutMs: ARRIVE_MS, everyMs: 200 });
}

/** Rows of the Services that exist and have a backend. */
async function readRows(pins: string): Promise<readonly number[]> {
  const open = openServiceRows(pins);
  try {
    const found = await open.frontends();
    const rows = Array.from({ length: SERVICES }, (_, i) => found.get(`${clusterIp(WEST, i)}:${PORT}/6`) ?? 0);
    return rows.filter((row) => row !== 0 && /[^\0]/.test(open.read(row).slice(0, 32)));
  } finally {
    open.close();
  }
}

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "mbench-feed-"));
  later(() => rmSync(folder, { recursive: true, force: true }));
  const name = uniqueName("feed");
  const cgroup = makeCgroup(name);
  later(() => removeCgroups(cgroup.path));
  const pins = join("/sys/fs/bpf", name);
  const east = await startParts(folder, pins, cgroup.path);
  const rows = await rowsOf(pins);
  const pin = native().openPin(`${pins}/${MAP_NAMES.services}`);
  const services = createMappedArray(MAP_NAMES.services, pin);
  pin.close();
  later(() => services.close());
  const watch = watchRows(rows, (count) => services.read(0, count));
  later(() => watch.stop());

  async function series(perSecond: number, seconds: number): Promise<FeedSeries> {
    await delay(SETTLE_MS);
    watch.takeChanges();
    const fed = answer(east, "fed");
    order(east, { is: "feed", perSecond, changes: perSecond * seconds });
    const { moments } = await fed;
    const seen: Moment[] = [];
    for (let left = 20; left > 0 && seen.length < moments.length; left--) {
      await delay(SETTLE_MS / 10);
      seen.push(...watch.takeChanges());
    }
    return feedSeries(moments, seen);
  }

  const slow = await series(20, 20);
  const warm = await series(1_000, 5);
  const fast = await series(1_000, 20);
  console.log(JSON.stringify({ slow, warm, fast }));
}

try {
  await main();
} catch (thrown) {
  console.error(thrown);
  process.exitCode = 1;
} finally {
  for (const step of undo) await step();
}
process.exit();
