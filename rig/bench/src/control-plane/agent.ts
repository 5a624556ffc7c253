/**
 * Measures the agent on real maps: loads 10,000 Services of 10 backends, then changes one endpoint at a time.
 *
 * Prints one JSON line. Maps are pinned in a separate folder and removed afterwards; programs are attached to an empty cgroup.
 */
import { join } from "node:path";
import { measureNode } from "@isthmus/agent";
import { type Datapath, openDatapath } from "@isthmus/bpf";
import { makeCgroup, OBJECTS, uniqueName } from "@isthmus/bpf/testing";
import { ToAgent } from "@isthmus/proto";
import { createRecordSource, makeConfig, makeNode, makeService, makeSlice } from "@isthmus/testing";

export interface AgentFigures {
  readonly services: number;
  readonly backends: number;
  readonly adoptMs: number;
  /** From records in memory until all maps are written. */
  readonly firstLoadMs: number;
  /** The part from the merged table until all maps are written. */
  readonly mapsMs: number;
  /** The same two as CPU time of the main thread. */
  readonly firstLoadCpuMs: number;
  readonly mapsCpuMs: number;
  /** The longest time for which the event loop was blocked in the first load. */
  readonly firstLoadBlockMs: number;
  /** From the message to the map, for one changed endpoint. */
  readonly changeMs: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly adoptFullMs: number;
}

export interface AgentBenchOptions {
  readonly services: number;
  readonly backends: number;
  readonly changes: number;
}

/** Unmeasured changes before the measured ones, as in endpoints.ts, until V8 has compiled the agent's functions. */
const WARM_UP = 2_000;

export async function benchAgent(options: AgentBenchOptions): Promise<AgentFigures> {
  const name = uniqueName("agent");
  const cgroup = makeCgroup(name);
  const open = () =>
    openDatapath({
      bpffs: join("/sys/fs/bpf", name),
      cgroup: cgroup.path,
      objectDir: OBJECTS,
      config: { clusterId: 1 },
      sizes: { frontends: 65_536, services: 65_536, backends: 262_144 },
    });
  let port: Datapath | undefined;
  try {
    port = await open();
    const source = createRecordSource({ clusterId: 0 });
    source.change(allRecords(options));
    const node = await measureNode(port, source.firstSync(256).map(encode));
    await node.state.datapath.settled();
    const times: number[] = [];
    for (let i = -WARM_UP; i < options.changes; i++) {
      const service = ((i + WARM_UP) * 7919) % options.services;
      const change = source.change([sliceOf(service, options.backends - Math.abs(i % 2))]);
      const ms = await node.apply(encode(change));
      if (i >= 0) times.push(ms);
    }
    await node.state.datapath.settled();
    node.stop();
    port.close();
    port = await open();
    const again = await measureNode(port, []);
    again.stop();
    const at = (share: number) => round(times.sort((a, b) => a - b)[Math.floor(share * (times.length - 1))] ?? 0);
    return {
      services: options.services,
      backends: options.backends,
      adoptMs: round(node.load.adoptMs),
      firstLoadMs: round(node.load.wholeMs),
      mapsMs: round(node.load.mapsMs),
      firstLoadCpuMs: round(node.load.wholeCpuMs),
      mapsCpuMs: round(node.load.mapsCpuMs),
      firstLoadBlockMs: round(node.load.blockMs),
      changeMs: { p50: at(0.5), p99: at(0.99), max: at(1) },
      adoptFullMs: round(again.load.adoptMs),
    };
  } finally {
    await port?.destroy();
    cgroup.remove();
  }
}

function allRecords({ services, backends }: AgentBenchOptions) {
  const nodes = Array.from({ length: 100 }, (_, i) => makeNode(`n${i}`, `172.18.0.${i}`, `10.11.${i}.0/24`));
  const records = Array.from({ length: services }, (_, i) => [
    makeService(`bench/s${i}`, { ip: address(96, i) }),
    makeConfig(`bench/s${i}`, "none", false),
    sliceOf(i, backends),
  ]);
  return [...nodes, ...records.flat()];
}

function sliceOf(service: number, backends: number) {
  const ready = Array.from({ length: backends }, (_, i) => address(128 + i, service));
  return makeSlice(`bench/s${service}`, { ready, node: `n${service % 100}` });
}

function address(second: number, i: number): string {
  return `10.${second}.${(i >> 8) & 255}.${i & 255}`;
}

function encode(message: ToAgent): Uint8Array {
  return ToAgent.encode(message).finish();
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
