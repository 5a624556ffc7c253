/**
 * The datapath's figures, both sides of each ratio from one run: connects, the choice of a backend, writing maps.
 * Needs root; uses its own network namespaces and cgroup and removes them at the end.
 */
import { join } from "node:path";
import { type Datapath, openDatapath } from "@isthmus/bpf";
import { OBJECTS } from "@isthmus/bpf/testing";
import { parsePrefix, table } from "@isthmus/model";
import { type ConnectFigures, measureConnect } from "./connect.js";
import { type HookFigures, measureHooks } from "./hooks.js";
import { checkMachine, makeRig, type Rig } from "./rig.js";
import { measureSelect, type SelectFigures } from "./select.js";
import { BACKENDS, changeEndpoint, type WriteTimes, writeServices } from "./services.js";
import { median, micros, percentile } from "./stats.js";

const SIZES = [10, 1_000, 10_000];
const ROUNDS = 9;
const PER_ROUND = 2_000;
const CHANGES = 2_000;
/** Service ranges of a dual-stack cluster; all VIPs of services.ts are in the first. */
const SERVICE_RANGES = ["10.96.0.0/12", "fd00:96::/108"];

export interface DatapathFigures {
  readonly connect: readonly ConnectFigures[];
  /** p50 with 10,000 services divided by p50 with 10, each relative to direct. */
  readonly growth: number;
  readonly hooks: HookFigures;
  readonly select: SelectFigures;
  readonly writes: WriteTimes;
  readonly change: { readonly p50Us: number; readonly p99Us: number };
  /** Instructions that the verifier processed, by program. */
  readonly verified: Readonly<Record<string, number>>;
}

export async function main(): Promise<DatapathFigures> {
  checkMachine();
  const name = `mb${process.pid % 100000}`;
  const rig = await makeRig(name);
  try {
    const figures = await measure(rig, name);
    print(figures);
    return figures;
  } finally {
    await rig.remove();
  }
}

async function measure(rig: Rig, name: string): Promise<DatapathFigures> {
  const connect: ConnectFigures[] = [];
  let last: Awaited<ReturnType<typeof measureWrites>> | undefined;
  let verified: Record<string, number> = {};
  let hooks: HookFigures | undefined;
  for (const services of SIZES) {
    const datapath = await openDatapath({
      bpffs: join("/sys/fs/bpf", name),
      cgroup: rig.cgroup,
      objectDir: OBJECTS,
      config: { clusterId: 1 },
    });
    try {
      // As on a node in sync: addresses that are not Services are also compared with the ranges.
      await datapath.serviceRanges.replace(SERVICE_RANGES.map(parsePrefix));
      last = await measureWrites(datapath, services);
      connect.push(await measureConnect(rig, datapath, services, ROUNDS, PER_ROUND));
      hooks = await measureHooks(rig, datapath);
      verified = Object.fromEntries([...datapath.programs].map(([key, info]) => [key, info.verifiedInstructions]));
    } finally {
      await datapath.destroy();
    }
  }
  if (last === undefined || hooks === undefined) throw new Error("Cannot measure nothing");
  const growth = (connect.at(-1)?.p50Ratio ?? Number.NaN) / (connect[0]?.p50Ratio ?? Number.NaN);
  return { connect, growth, hooks, select: await measureSelect(), ...last, verified };
}

async function measureWrites(datapath: Datapath, services: number) {
  const writes = await writeServices(datapath, services);
  const times = Array.from({ length: CHANGES }, (_, i) => {
    const start = performance.now();
    changeEndpoint(datapath, i % services, services * BACKENDS + 1 + i);
    return (performance.now() - start) * 1000;
  });
  return { writes, change: { p50Us: median(times), p99Us: percentile(times, 99) } };
}

function print({ connect, growth, hooks, select, writes, change, verified }: DatapathFigures): void {
  const ms = (value: number) => `${value.toFixed(1)} ms`;
  console.log("TCP connect on one node, in turns within one run. direct: no program; pass: programs let it pass;");
  console.log("service: one ClusterIP; any: all ClusterIPs at random. x: median of the rounds' ratios to direct");
  process.stdout.write(
    table([
      ["SERVICES", "DIRECT p50", "PASS p50", "SERVICE p50", "x", "ANY p50", "x", "DIRECT/s", "SERVICE/s", "x"],
      ...connect.map((row) => [
        String(row.services),
        micros(row.direct.p50Ns),
        micros(row.pass.p50Ns),
        micros(row.service.p50Ns),
        row.p50Ratio.toFixed(3),
        micros(row.any.p50Ns),
        row.anyP50Ratio.toFixed(3),
        row.direct.perSecond.toFixed(0),
        row.service.perSecond.toFixed(0),
        row.rateRatio.toFixed(3),
      ]),
    ]),
  );
  console.log(`10,000 services against 10: ${growth.toFixed(3)} (reach: connect <= 1.05, growth <= 1.03)\n`);
  const added = (times: Readonly<Record<string, number>>, name: string) =>
    `+${((times[name] ?? Number.NaN) - (times["none"] ?? Number.NaN)).toFixed(0)} ns`;
  console.log("What the hooks add to a system call of a UDP socket (connect() again; getpeername(); recvfrom())");
  process.stdout.write(
    table([
      ["", "CONNECT", "GETPEERNAME", "RECVFROM"],
      ...["pass", "service"].map((side) => [
        side,
        added(hooks.connectNs, side),
        added(hooks.getpeernameNs, side),
        added(hooks.recvfromNs, side),
      ]),
    ]),
  );
  console.log("\nChoice of a backend, net of an empty program");
  process.stdout.write(table(Object.entries(select.netNs).map(([key, ns]) => [key, `${ns} ns`])));
  console.log("\nInstructions walked by the verifier (at most 50,000)");
  process.stdout.write(table(Object.entries(verified).map(([key, count]) => [key, String(count)])));
  console.log("\nWriting maps, 10,000 services x 10 backends from state in hand");
  process.stdout.write(table(Object.entries(writes).map(([key, value]) => [key, ms(value)])));
  console.log(`one endpoint changed: p50 ${change.p50Us.toFixed(1)} us, p99 ${change.p99Us.toFixed(1)} us`);
}
