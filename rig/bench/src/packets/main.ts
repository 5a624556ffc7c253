/**
 * Packets between pods: plain kernel routing against the programs of mode `packets`, in turns on the same devices within
 * one run.
 */
import { table } from "@isthmus/model";
import { median } from "../datapath/stats.js";
import { measureCost, type PacketCost } from "./cost.js";
import { FAR, type Mode, makeNodes, NEAR } from "./nodes.js";

const ROUNDS = 7;
const PATHS = { same: NEAR, other: FAR } as const;
/** With the ratios to reach, on one node and between two. */
const MODES: Readonly<Record<Mode, { readonly text: string; readonly same: number; readonly other: number }>> = {
  requests: { text: "requests and responses", same: 1.08, other: 1.06 },
  connects: { text: "connects", same: 1.04, other: 1.04 },
  both: { text: "connect, request, response", same: 1.04, other: 1.03 },
  stream: { text: "stream, Gbit/s", same: 1.08, other: 1.06 },
};

export interface PacketFigure {
  readonly direct: number;
  readonly programs: number;
  /** Median of the rounds' ratios. */
  readonly ratio: number;
}

export type PacketFigures = Readonly<Record<keyof typeof PATHS, Readonly<Record<Mode, PacketFigure>>>> & {
  readonly cost: PacketCost;
};

export async function packetsMain(): Promise<PacketFigures> {
  const nodes = await makeNodes(`mp${process.pid % 100000}`);
  try {
    const figures = { same: {}, other: {} } as Record<keyof typeof PATHS, Record<Mode, PacketFigure>>;
    for (const [path, address] of Object.entries(PATHS) as [keyof typeof PATHS, string][]) {
      for (const mode of Object.keys(MODES) as Mode[]) {
        const rounds: { readonly direct: number; readonly programs: number }[] = [];
        for (let round = 0; round < ROUNDS; round++) {
          await nodes.setPrograms(false);
          const direct = await nodes.measure(mode, address);
          const before = nodes.delivered();
          await nodes.setPrograms(true);
          rounds.push({ direct, programs: await nodes.measure(mode, address) });
          if (nodes.delivered() === before) throw new Error("Cannot trust the run: the programs delivered nothing");
        }
        figures[path][mode] = {
          direct: median(rounds.map(({ direct }) => direct)),
          programs: median(rounds.map(({ programs }) => programs)),
          ratio: median(rounds.map(({ direct, programs }) => programs / direct)),
        };
      }
    }
    const cost = await measureCost();
    print(figures, cost);
    return { ...figures, cost };
  } finally {
    await nodes.remove();
  }
}

function print(figures: Omit<PacketFigures, "cost">, { establishedNs, newFlowNs, scatteredNs }: PacketCost): void {
  console.log(
    "Packets between pods, a second: plain kernel routing, and the programs with conntrack. One processor for client and",
  );
  console.log("server, but for the stream. x: median of the rounds' ratios");
  const rows = (Object.keys(PATHS) as (keyof typeof PATHS)[]).flatMap((path) =>
    (Object.keys(MODES) as Mode[]).map((mode) => {
      const { direct, programs, ratio } = figures[path][mode];
      const digits = mode === "stream" ? 1 : 0;
      return [
        path === "same" ? "same node" : "two nodes",
        MODES[mode].text,
        direct.toFixed(digits),
        programs.toFixed(digits),
        ratio.toFixed(3),
        `>= ${MODES[mode][path].toFixed(2)}`,
      ];
    }),
  );
  process.stdout.write(table([["", "", "DIRECT", "PROGRAMS", "x", "REACH"], ...rows]));
  process.stdout.write(
    table([
      ["ns a packet in from_network, net of an empty program", "MEASURED", "REACH"],
      ["of a flow that has a row", establishedNs.toFixed(0), "<= 150"],
      ["the first of a flow, ports in turn", newFlowNs.toFixed(0), "<= 800"],
      ["the first of a flow, ports at random", scatteredNs.toFixed(0), "<= 800"],
    ]),
  );
}
