/**
 * Packets between pods, each side in turn within one run: plain kernel routing, the programs of mode `packets` without and with
 * policies, and the real kube-proxy in both of its modes.
 */
import { table } from "@isthmus/model";
import { median } from "../datapath/stats.js";
import { undoing } from "../undoing.js";
import { type FlowCost, measureCost, type PacketCost } from "./cost.js";
import { type Mode, PATHS, type Path } from "./network.js";
import { makeSides, type SideName, type Sides } from "./sides.js";

const ROUNDS = 7;
/** On one node and between two. */
type Ratios = Readonly<Record<Path, number>>;
/** With the ratios to direct that the programs are to reach, without and with policies. */
const MODES: Readonly<Record<Mode, { readonly text: string; readonly programs: Ratios; readonly policy?: Ratios }>> = {
  requests: {
    text: "requests and responses",
    programs: { same: 1.08, other: 1.06 },
    policy: { same: 1.06, other: 1.05 },
  },
  connects: { text: "connects", programs: { same: 1.04, other: 1.04 } },
  both: {
    text: "connect, request, response",
    programs: { same: 1.04, other: 1.03 },
    policy: { same: 1.02, other: 1.02 },
  },
  stream: { text: "stream, Gbit/s", programs: { same: 1.08, other: 1.06 } },
};
const MODE_NAMES = Object.keys(MODES) as Mode[];

export interface SideFigure {
  readonly rate: number;
  /** Median of the rounds' ratios to direct. */
  readonly ratio: number;
}

/** Of the sides that were measured. */
type ModeFigures = Readonly<Partial<Record<SideName, SideFigure>>>;
type Figures = Readonly<Record<Path, Readonly<Record<Mode, ModeFigures>>>>;

export type PacketFigures = Figures & { readonly cost: PacketCost };

export async function packetsMain(): Promise<PacketFigures> {
  const figures = { same: {}, other: {} } as Record<Path, Record<Mode, ModeFigures>>;
  await undoing(async (later) => {
    const all = await makeSides(later);
    for (const path of PATHS) for (const mode of MODE_NAMES) figures[path][mode] = await compare(all, mode, path);
    print(figures, all);
  });
  const cost = await measureCost();
  printCost(cost);
  return { ...figures, cost };
}

async function compare({ sides }: Sides, mode: Mode, path: Path): Promise<ModeFigures> {
  const rounds: Partial<Record<SideName, number | undefined>>[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const round: Partial<Record<SideName, number | undefined>> = {};
    for (const { name, measure } of sides) round[name] = await measure(mode, path);
    rounds.push(round);
  }
  const of = (name: SideName): SideFigure => ({
    rate: median(rounds.map((round) => round[name] ?? Number.NaN)),
    ratio: median(rounds.map((round) => (round[name] ?? Number.NaN) / (round.direct ?? Number.NaN))),
  });
  const measured = sides.filter(({ name }) => rounds[0]?.[name] !== undefined);
  return Object.fromEntries(measured.map(({ name }) => [name, of(name)]));
}

function print(figures: Figures, { sides, missing }: Sides): void {
  console.log(
    "Packets between pods, a second, and x: median of the rounds' ratios to direct. Client and server share a",
  );
  console.log("processor, but for the stream. Each side dials:");
  process.stdout.write(table(sides.map(({ name, what }) => [`  ${name}`, what])));
  for (const sentence of missing) console.log(sentence);
  const names = sides.map(({ name }) => name);
  const header = names.flatMap((name) => (name === "direct" ? ["DIRECT"] : [name.toUpperCase(), "x"]));
  const rows = PATHS.flatMap((path) =>
    MODE_NAMES.map((mode) => [
      path === "same" ? "same node" : "two nodes",
      MODES[mode].text,
      ...[MODES[mode].programs, MODES[mode].policy].map((reach) => (reach ? `>= ${reach[path].toFixed(2)}` : "-")),
      ...names.flatMap((name) => cellsOf(name, figures[path][mode][name], mode)),
    ]),
  );
  process.stdout.write(table([["", "", "REACH x", "WITH POLICY", ...header], ...rows]));
}

function cellsOf(name: SideName, figure: SideFigure | undefined, mode: Mode): string[] {
  const rate = figure?.rate.toFixed(mode === "stream" ? 1 : 0) ?? "-";
  return name === "direct" ? [rate] : [rate, figure?.ratio.toFixed(3) ?? "-"];
}

function printCost({ policies, ...without }: PacketCost): void {
  const sizes = [...policies.keys()];
  const row = (what: string, of: (cost: FlowCost) => number, reach: string, reachWithPolicy: string) => [
    what,
    of(without).toFixed(0),
    reach,
    ...[...policies.values()].map((cost) => of(cost).toFixed(0)),
    reachWithPolicy,
  ];
  process.stdout.write(
    table([
      [
        "ns a packet in from_network, net of an empty program",
        "NO POLICY",
        "REACH",
        ...sizes.map((n) => `OF ${n}`),
        "REACH",
      ],
      row("of a flow that has a row", (cost) => cost.establishedNs, "<= 150", "<= 200"),
      row("the first of a flow, ports in turn", (cost) => cost.newFlowNs, "<= 800", "<= 900"),
      row("the first of a flow, ports at random", (cost) => cost.scatteredNs, "<= 800", "<= 900"),
    ]),
  );
}
