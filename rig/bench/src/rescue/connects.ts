/** What rescue adds to a connect that needs none, and how soon a connect is refused when all backends are dead. */
import { backendId, type Datapath, Proto, ServiceFlag, ServiceRow } from "@isthmus/bpf";
import { createWriter, frontend, insertFrontends } from "@isthmus/bpf/testing";
import { median } from "../datapath/stats.js";
import { outputOf, startPinned } from "../load-process.js";
import { CLUSTER_IPS, PATHS, PORT, type Path, SERVERS } from "../packets/network.js";
import type { RescueRig, RescueSide } from "./rigs.js";

const ROUNDS = 15;
const PER_ROUND = 2_000;
const BACKENDS = [1, 2, 3, 4];
/** In all rounds fewer than a pod may have moved. */
const REFUSED_PER_ROUND = 50;
/** Nothing listens there. */
const CLOSED = 9;

const SIDES = ["on", "off", "without"] as const;
type SideName = (typeof SIDES)[number];

export interface AddedToConnect {
  /** `on`: as it is; `off`: to a Service with `rescue-after: "off"`; `without`: with programs that know of no rescue. */
  readonly p50Ns: Readonly<Record<SideName, number>>;
  /** p50 with rescue divided by p50 of the other: of each way round the median of the rounds, and of these the geometric mean. */
  readonly toOff: number;
  readonly toWithout: number;
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
  await rig.bothWays(async (on, without) => {
    await addUnrescued(nearOf(on));
    for (const path of PATHS) ways[path].push(await connectAll(rig, on, without, path));
    if (refusals.length === 0) refusals = await measureRefusals(rig, on);
  });
  return { added: { same: addedIn(ways.same), other: addedIn(ways.other) }, refusals };
}

async function connectAll({ load }: RescueRig, on: RescueSide, without: RescueSide, path: Path): Promise<Line[]> {
  const address = CLUSTER_IPS[path];
  const spec = [
    specOf("on", on, address),
    specOf("off", on, UNRESCUED[path]),
    specOf("without", without, address),
  ].join(",");
  const before = [on, without].map(({ programs }) => programs.delivered());
  const lines = await run(load, on, ["run", spec, String(ROUNDS), String(PER_ROUND)]);
  [on, without].forEach(({ programs }, i) => {
    const delivered = programs.delivered() - (before[i] ?? 0);
    if (delivered < ROUNDS * PER_ROUND)
      throw new Error(`Cannot trust the run: only ${delivered} packets were delivered`);
  });
  return lines;
}

function addedIn(ways: readonly (readonly Line[])[]): AddedToConnect {
  const p50s = (lines: readonly Line[], name: SideName) =>
    lines.filter((line) => line.name === name).map((line) => line.p50Ns);
  const ratioTo = (other: SideName) => {
    const logs = ways.map((lines) => {
      const others = p50s(lines, other);
      return Math.log(median(p50s(lines, "on").map((ns, round) => ns / (others[round] ?? Number.NaN))));
    });
    return Math.exp(logs.reduce((sum, log) => sum + log, 0) / logs.length);
  };
  const p50Of = (name: SideName) => median(p50s(ways.flat(), name));
  return {
    p50Ns: { on: p50Of("on"), off: p50Of("off"), without: p50Of("without") },
    toOff: ratioTo("off"),
    toWithout: ratioTo("without"),
  };
}

/** VIPs of Services with the same backends, whose connects are never moved. */
const UNRESCUED: Readonly<Record<Path, string>> = { same: "10.96.2.10", other: "10.96.2.11" };

async function addUnrescued(datapath: Datapath): Promise<void> {
  const write = createWriter(datapath);
  const rows = PATHS.map((path, i) => {
    const service = 20 + i;
    // The backends of the Service that is rescued.
    write.service(service, [{ ids: [backendId(1, i + 1)], tries: 3, cluster: 1 }]);
    datapath.services.storeWord32(service, ServiceRow.offsets.flags, ServiceFlag.NoRescue);
    return frontend(UNRESCUED[path], PORT, Proto.Tcp, service);
  });
  await insertFrontends(datapath.frontends, rows);
}

/** Of the client's node. */
function nearOf({ programs }: RescueSide): Datapath {
  const [datapath] = programs.datapaths;
  if (datapath === undefined) throw new Error("Cannot measure without a node");
  return datapath;
}

async function measureRefusals({ load }: RescueRig, side: RescueSide): Promise<readonly Refusal[]> {
  await addDeadServices(nearOf(side));
  const spec = BACKENDS.map((count) => specOf(`${count}`, side, vipOf(count))).join(",");
  const moved = () => nearOf(side).metrics().get("moved") ?? 0;
  const before = moved();
  const lines = await run(load, side, ["refused", spec, String(ROUNDS), String(REFUSED_PER_ROUND)]);
  // Each goes to the others that are dead too, one after another.
  const least = ROUNDS * REFUSED_PER_ROUND * BACKENDS.reduce((sum, count) => sum + count - 1, 0);
  if (moved() - before < least)
    throw new Error(`Cannot trust the run: only ${moved() - before} of ${least} were moved`);
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

async function addDeadServices(datapath: Datapath): Promise<void> {
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
