/**
 * Measures the cost of one changed endpoint for the agent, by the size of the Service: writes to real maps, and milliseconds from
 * the message until the maps serve it. One Service at a time, in slices of 100 endpoints as in Kubernetes.
 */
import { join } from "node:path";
import { type MeasuredNode, measureNode } from "@isthmus/agent";
import { openDatapath } from "@isthmus/bpf";
import { makeCgroup, OBJECTS, uniqueName } from "@isthmus/bpf/testing";
import { ToAgent } from "@isthmus/proto";
import { createRecordSource, makeConfig, makeNode, makeService, makeSlice } from "@isthmus/testing";
import { median, percentile } from "../datapath/stats.js";
import { countWrites } from "./count-writes.js";

const SLICE = 100;
/** Unmeasured changes before the measured ones: V8 still compiles the agent's functions, on threads that compete with it. */
const WARM_UP = 2_000;
const CHANGES = ["exchanged", "less", "exchanged", "more"] as const;

type Change = (typeof CHANGES)[number];

export interface EndpointFigures {
  readonly endpoints: number;
  /** Median writes until the maps serve the change. */
  readonly writes: Readonly<Record<Change, number>>;
  /** Median of all writes of an exchange, including the floor before it and freeing after it. */
  readonly allWrites: number;
  readonly ms: Times;
  /** p99 of the unmeasured changes, which is that of an agent that has just started. */
  readonly coldP99Ms: number;
  /** CPU time of the process for the same; other load of the machine hardly affects it. */
  readonly cpuMs: Times;
}

export interface Times {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export async function measureEndpoints(endpoints: number, rounds: number): Promise<EndpointFigures> {
  const name = uniqueName("endpoints");
  const cgroup = makeCgroup(name);
  const datapath = await openDatapath({
    bpffs: join("/sys/fs/bpf", name),
    cgroup: cgroup.path,
    objectDir: OBJECTS,
    config: { clusterId: 1 },
  });
  try {
    const counted = countWrites(datapath);
    const service = createService(endpoints);
    const node = await measureNode(counted.port, service.firstSync());
    await node.state.datapath.settled();
    const figures = await measureChanges(node, service, counted.take, rounds);
    node.stop();
    return { endpoints, ...figures };
  } finally {
    await datapath.destroy();
    cgroup.remove();
  }
}

type Service = ReturnType<typeof createService>;

async function measureChanges(
  node: MeasuredNode,
  service: Service,
  take: () => { readonly served: number; readonly all: number },
  rounds: number,
): Promise<Omit<EndpointFigures, "endpoints">> {
  const coldP99Ms = percentile(await warmUp(node, service), 99);
  const [times, cpuTimes]: [number[], number[]] = [[], []];
  const writes: Record<Change, number[]> = { exchanged: [], less: [], more: [] };
  const all: number[] = [];
  for (let i = 0; i < rounds * CHANGES.length; i++) {
    const change = CHANGES[i % CHANGES.length] ?? "exchanged";
    const message = service.change(change);
    take();
    const before = process.cpuUsage();
    times.push(await node.apply(message));
    const { user, system } = process.cpuUsage(before);
    cpuTimes.push((user + system) / 1000);
    const applied = take();
    await node.state.datapath.settled();
    writes[change].push(applied.served);
    if (change === "exchanged") all.push(applied.all + take().all);
  }
  return {
    writes: { exchanged: median(writes.exchanged), less: median(writes.less), more: median(writes.more) },
    allWrites: median(all),
    ms: timesOf(times),
    coldP99Ms,
    cpuMs: timesOf(cpuTimes),
  };
}

async function warmUp(node: MeasuredNode, service: Service): Promise<readonly number[]> {
  const times: number[] = [];
  while (times.length < WARM_UP) {
    for (const change of CHANGES) times.push(await node.apply(service.change(change)));
    await node.state.datapath.settled();
  }
  return times;
}

function timesOf(values: readonly number[]): Times {
  return { p50: median(values), p99: percentile(values, 99), max: Math.max(...values) };
}

/** A Service whose endpoints are removed and added one at a time. */
function createService(endpoints: number) {
  const source = createRecordSource({ clusterId: 0 });
  const first = (i: number) =>
    Array.from({ length: Math.min(SLICE, endpoints - i * SLICE) }, (_, n) => address(i * SLICE + n));
  const slices = Array.from({ length: Math.ceil(endpoints / SLICE) }, (_, i) => first(i));
  let [next, turn] = [endpoints, 0];
  const sliceOf = (i: number) => makeSlice("bench/service", { slice: `s${i}`, ready: slices[i] ?? [], node: "n0" });
  const nodes = [makeNode("n0", "172.18.0.2", "10.0.0.0/8")];
  const service = [makeService("bench/service", { ip: "10.96.0.1" }), makeConfig("bench/service", "none", false)];
  source.change([...nodes, ...service, ...slices.map((_, i) => sliceOf(i))]);
  return {
    firstSync: () => source.firstSync(256).map(encode),
    change(what: Change): Uint8Array {
      const i = (turn++ * 7919) % slices.length;
      const slice = slices[i] ?? [];
      if (what !== "more") slice.splice((turn * 31) % slice.length, 1);
      if (what !== "less") slice.push(address(next++));
      return encode(source.change([sliceOf(i)]));
    },
  };
}

function address(i: number): string {
  return `10.${128 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;
}

function encode(message: ToAgent): Uint8Array {
  return ToAgent.encode(message).finish();
}
