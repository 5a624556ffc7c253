/** What rescue adds to a connect that needs none, and how soon a connect is refused when all backends are dead. */
import { Proto } from "@isthmus/bpf";
import { createWriter, frontend, insertFrontends } from "@isthmus/bpf/testing";
import { median } from "../datapath/stats.js";
import { outputOf, startPinned } from "../load-process.js";
import { CLUSTER_IPS, PATHS, PORT, type Path, SERVERS } from "../packets/network.js";
import type { RescueRig, RescueSide } from "./rigs.js";

const ROUNDS = 15;
const PER_ROUND = 2_000;
const BACKENDS = [1, 2, 3, 4];
/** Nothing listens there. */
const CLOSED = 9;

export interface AddedToConnect {
  readonly onNs: number;
  readonly offNs: number;
  /** p50 with rescue divided by p50 without: of each way round the median of the rounds, and of these the geometric mean. */
  readonly ratio: number;
}

export interface Refusal {
  readonly backends: number;
  readonly p50Ns: number;
  readonly worstNs: number;
}

export interface ConnectFigures {
  readonly added: Readonly<Record<Path, AddedToConnect>>;
  readonly refusals: readonly Refusal[];
}

interface Line {
  readonly name: string;
  readonly p50Ns: number;
  readonly worstNs: number;
}

export async function measureConnects(rig: RescueRig): Promise<ConnectFigures> {
  const ways: Record<Path, Line[][]> = { same: [], other: [] };
  let refusals: readonly Refusal[] = [];
  await rig.bothWays(async (on, off) => {
    for (const path of PATHS) ways[path].push(await connectBoth(rig, on, off, CLUSTER_IPS[path]));
    if (refusals.length === 0) refusals = await measureRefusals(rig, on);
  });
  return { added: { same: addedIn(ways.same), other: addedIn(ways.other) }, refusals };
}

async function connectBoth({ load }: RescueRig, on: RescueSide, off: RescueSide, address: string): Promise<Line[]> {
  const spec = [specOf("on", on, address), specOf("off", off, address)].join(",");
  const before = [on, off].map(({ programs }) => programs.delivered());
  const lines = await run(load, on, ["run", spec, String(ROUNDS), String(PER_ROUND)]);
  [on, off].forEach(({ programs }, i) => {
    const delivered = programs.delivered() - (before[i] ?? 0);
    if (delivered < ROUNDS * PER_ROUND)
      throw new Error(`Cannot trust the run: only ${delivered} packets were delivered`);
  });
  return lines;
}

function addedIn(ways: readonly (readonly Line[])[]): AddedToConnect {
  const p50s = (lines: readonly Line[], name: string) =>
    lines.filter((line) => line.name === name).map((line) => line.p50Ns);
  const ratios = ways.map((lines) => {
    const off = p50s(lines, "off");
    return median(p50s(lines, "on").map((ns, round) => ns / (off[round] ?? Number.NaN)));
  });
  return {
    onNs: median(p50s(ways.flat(), "on")),
    offNs: median(p50s(ways.flat(), "off")),
    ratio: Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length),
  };
}

/** Of Services with so many backends, on both nodes in turn, of which none listens. */
async function measureRefusals({ load }: RescueRig, side: RescueSide): Promise<readonly Refusal[]> {
  await addDeadServices(side);
  const spec = BACKENDS.map((count) => specOf(`${count}`, side, vipOf(count))).join(",");
  const lines = await run(load, side, ["refused", spec, String(ROUNDS), "500"]);
  return BACKENDS.map((backends) => {
    const own = lines.filter(({ name }) => name === `${backends}`);
    return {
      backends,
      p50Ns: median(own.map(({ p50Ns }) => p50Ns)),
      worstNs: Math.max(...own.map(({ worstNs }) => worstNs)),
    };
  });
}

const vipOf = (backends: number) => `10.96.1.${backends}`;

async function addDeadServices({ programs }: RescueSide): Promise<void> {
  const [datapath] = programs.datapaths;
  if (datapath === undefined) throw new Error("Cannot add a Service without a node");
  const write = createWriter(datapath);
  const rows = BACKENDS.map((count) => {
    const ids = Array.from({ length: count }, (_, i) => {
      const path = PATHS[i % PATHS.length] ?? "same";
      return write.backend({ index: 10 * count + i, address: SERVERS[path], port: CLOSED + i });
    });
    write.service(10 + count, [{ ids, tries: Math.min(count, 2) - 1, cluster: 1 }]);
    return frontend(vipOf(count), PORT, Proto.Tcp, 10 + count);
  });
  await insertFrontends(datapath.frontends, rows);
}

function specOf(name: string, { client, cgroup }: RescueSide, address: string): string {
  return `${name};${client.netns};${cgroup};${address};1;${PORT};1`;
}

async function run(load: string, { client, cgroup }: RescueSide, args: readonly string[]): Promise<Line[]> {
  const output = await outputOf(startPinned(client.netns, 0, load, args, cgroup));
  return output
    .trim()
    .split("\n")
    .map((line) => {
      const [name = "", p50, , , worst] = line.split(" ");
      return { name, p50Ns: Number(p50), worstNs: Number(worst) };
    });
}
