/**
 * Measures how long the agent blocks its event loop in a cluster of 25,000 nodes and 250,000 endpoints, with real maps, real
 * routes (in a network namespace of its own) and disk snapshots: in a first load, while Node records and endpoints change, and
 * at a start from its maps and snapshots.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type MeasuredNode, measureNode, watchTurns } from "@isthmus/agent";
import { type Datapath, openDatapath, openNetlink } from "@isthmus/bpf";
import { makeCgroup, OBJECTS, uniqueName } from "@isthmus/bpf/testing";
import { ToAgent } from "@isthmus/proto";
import { createRecordSource, makeConfig, makeNode, makeNodeConfig, makeService, makeSlice } from "@isthmus/testing";
import { median, percentile } from "../datapath/stats.js";

export interface ScaleOptions {
  readonly nodes: number;
  readonly services: number;
  /** Per Service. */
  readonly endpoints: number;
  /** How long Node records and endpoints change; longer if no disk snapshot was written meanwhile. */
  readonly changeMs: number;
}

/** `blockMs`: the longest turn of the event loop. */
export interface ScaleFigures {
  readonly firstLoad: {
    /** From the first message until all maps are written, and until the kernel has a route to every node. */
    readonly mapsMs: number;
    readonly routesMs: number;
    readonly blockMs: number;
  };
  readonly changes: {
    readonly blockMs: number;
    /** From the message until the maps hold it. */
    readonly nodeMs: { readonly p50: number; readonly p99: number };
    readonly endpointMs: { readonly p50: number; readonly p99: number };
    /** From the message until the kernel has the routes. */
    readonly routeMs: { readonly p50: number; readonly p99: number };
    /** Disk snapshots that were written meanwhile, and the size of one. */
    readonly snapshots: number;
    readonly snapshotBytes: number;
  };
  readonly restart: { readonly ms: number; readonly blockMs: number };
}

const PAUSE_MS = 10;
const ROUTES_MS = 120_000;
const SNAPSHOT_MS = 60_000;

export async function benchScale(options: ScaleOptions): Promise<ScaleFigures> {
  const name = uniqueName("scale");
  const netns = uniqueName("mscale");
  const folder = mkdtempSync(join(tmpdir(), "mbench-scale-"));
  const cgroup = makeCgroup(name);
  const open = () =>
    openDatapath({
      bpffs: join("/sys/fs/bpf", name),
      cgroup: cgroup.path,
      objectDir: OBJECTS,
      config: { clusterId: 1 },
    });
  const measured = { stateDir: folder, openNetlink: () => openNetlink(`/run/netns/${netns}`) };
  const turns = watchTurns();
  let port: Datapath | undefined;
  try {
    makeNamespace(netns);
    port = await open();
    const records = createRecords(options);
    const messages = records.firstSync();
    turns.take();
    const began = performance.now();
    const node = await measureNode(port, messages, measured);
    const mapsMs = performance.now() - began;
    await until("routes", () => (node.routes?.written ?? 0) >= options.nodes - 1);
    const firstLoad = { mapsMs, routesMs: performance.now() - began, blockMs: turns.take() };
    const changes = { ...(await measureChanges(node, records, options, folder)), blockMs: turns.take() };
    node.stop();
    await node.state.datapath.settled();
    port.close();
    port = await open();
    const present = records.firstSync();
    turns.take();
    const restarted = performance.now();
    const again = await measureNode(port, present, measured);
    const restart = { ms: performance.now() - restarted, blockMs: turns.take() };
    again.stop();
    await again.state.datapath.settled();
    return { firstLoad, changes, restart };
  } finally {
    turns.stop();
    port?.destroy();
    cgroup.remove();
    execFileSync("ip", ["netns", "del", netns]);
    rmSync(folder, { recursive: true });
  }
}

/** Alternates between a node that gets another address and CIDR, and a Service that loses or gains an endpoint. */
async function measureChanges(
  node: MeasuredNode,
  records: ReturnType<typeof createRecords>,
  { changeMs }: ScaleOptions,
  folder: string,
): Promise<Omit<ScaleFigures["changes"], "blockMs">> {
  const [nodeMs, endpointMs, routeMs]: [number[], number[], number[]] = [[], [], []];
  const file = join(folder, "source-0.snap");
  /** The inodes of the file: the first is that of the snapshot that was there before. */
  const written = new Set<number>();
  const ends = performance.now() + changeMs;
  for (let i = 0; performance.now() < ends || (written.size < 2 && performance.now() < ends + SNAPSHOT_MS); i++) {
    const before = node.routes?.written ?? 0;
    const began = performance.now();
    nodeMs.push(await node.apply(records.changeNode(i)));
    // The new route, and the removal of the old one.
    while ((node.routes?.written ?? 0) < before + 2) await delay(1);
    routeMs.push(performance.now() - began);
    endpointMs.push(await node.apply(records.changeEndpoints(i)));
    await delay(PAUSE_MS);
    const stat = statSync(file, { throwIfNoEntry: false });
    if (stat !== undefined) written.add(stat.ino);
  }
  const at = (values: readonly number[]) => ({ p50: median(values), p99: percentile(values, 99) });
  return {
    nodeMs: at(nodeMs),
    endpointMs: at(endpointMs),
    routeMs: at(routeMs),
    snapshots: written.size - 1,
    snapshotBytes: statSync(file).size,
  };
}

/** One local cluster. Nodes have addresses in 172.16.0.0/12, pods in 11.0.0.0/8 or later 12.0.0.0/8. */
function createRecords({ nodes, services, endpoints }: ScaleOptions) {
  const source = createRecordSource({ clusterId: 0 });
  const low = (i: number) => `${(i >> 8) & 255}.${i & 255}`;
  const nodeOf = (i: number, moves = 0) =>
    makeNode(`n${i}`, `172.${16 + (moves % 2)}.${low(i + 1)}`, `${11 + (moves % 2)}.${i >> 8}.${i & 255}.0/24`);
  const sliceOf = (i: number, ready: number) =>
    makeSlice(`bench/s${i}`, {
      ready: Array.from({ length: ready }, (_, n) => `10.${n}.${low(i)}`),
      node: `n${i % nodes}`,
    });
  source.change([
    makeNodeConfig("bench", "10.0.0.0/24", ["10.240.0.0/12"]),
    ...Array.from({ length: nodes }, (_, i) => nodeOf(i)),
    ...Array.from({ length: services }, (_, i) => [
      makeService(`bench/s${i}`, { ip: `10.240.${low(i)}` }),
      makeConfig(`bench/s${i}`, "none", false),
      sliceOf(i, endpoints),
    ]).flat(),
  ]);
  const encode = (message: ToAgent) => ToAgent.encode(message).finish();
  return {
    firstSync: () => source.firstSync(256).map(encode),
    changeNode: (i: number) => encode(source.change([nodeOf((i * 7919) % nodes, 1 + Math.floor(i / nodes))])),
    changeEndpoints: (i: number) => encode(source.change([sliceOf((i * 7919) % services, endpoints - ((i + 1) % 2))])),
  };
}

/** A namespace in which every node's address is on a link. */
function makeNamespace(netns: string): void {
  execFileSync("ip", ["netns", "add", netns]);
  const ip = (...args: readonly string[]) => execFileSync("ip", ["-n", netns, ...args]);
  ip("link", "add", "eth0", "type", "veth", "peer", "name", "eth1");
  ip("link", "set", "eth1", "up");
  ip("link", "set", "eth0", "up");
  ip("addr", "add", "172.31.255.254/12", "dev", "eth0");
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const ends = performance.now() + ROUTES_MS;
  while (!condition()) {
    if (performance.now() > ends) throw new Error(`Timed out after ${ROUTES_MS / 1000} s waiting for ${what}`);
    await delay(1);
  }
}
