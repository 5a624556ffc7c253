/**
 * Compares TCP connect to a ClusterIP with connect to the pod's address, alternating every 50 connections in one run.
 *
 * Sides: `direct` dials the pod from outside of the cgroup (no program runs), `pass` dials it from inside (the programs run and
 * let it pass), `service` dials one ClusterIP from inside, `any` dials all of them in random order, so that their map entries
 * are not in the CPU cache.
 */
import type { Datapath } from "@isthmus/bpf";
import { PORT, PORTS, type Rig, SERVER } from "./rig.js";
import { FIRST_VIP, vip } from "./services.js";
import { median } from "./stats.js";

export interface Side {
  readonly p50Ns: number;
  readonly perSecond: number;
}

export interface ConnectFigures {
  readonly services: number;
  readonly direct: Side;
  readonly pass: Side;
  readonly service: Side;
  readonly any: Side;
  /** Median of the rounds' ratios of service to direct. */
  readonly p50Ratio: number;
  readonly rateRatio: number;
  readonly anyP50Ratio: number;
  /** Connects that the programs translated to a backend, by their own counter. */
  readonly translated: number;
}

const SIDES = ["direct", "pass", "service", "any"] as const;
type SideName = (typeof SIDES)[number];

export async function measureConnect(
  rig: Rig,
  datapath: Datapath,
  services: number,
  rounds: number,
  perRound: number,
): Promise<ConnectFigures> {
  const pod = `${SERVER};1;${PORT};${PORTS}`;
  const spec = [
    `direct;-;-;${pod}`,
    `pass;-;${rig.cgroup};${pod}`,
    `service;-;${rig.cgroup};${vip(services - 1)};1;80;1`,
    `any;-;${rig.cgroup};${FIRST_VIP};${services};80;1`,
  ];
  const before = datapath.metrics().get("connect") ?? 0;
  const lines = parse(await rig.run(["run", spec.join(","), String(rounds), String(perRound)]));
  const translated = (datapath.metrics().get("connect") ?? 0) - before;
  if (translated < rounds * perRound)
    throw new Error(`Cannot trust the run: only ${translated} connects were translated`);
  const side = (name: SideName): Side => ({
    p50Ns: median(lines[name].map(({ p50Ns }) => p50Ns)),
    perSecond: median(lines[name].map(({ perSecond }) => perSecond)),
  });
  const ratio = (name: SideName, field: keyof Side) =>
    median(lines[name].map((line, round) => line[field] / (lines.direct[round]?.[field] ?? Number.NaN)));
  return {
    services,
    direct: side("direct"),
    pass: side("pass"),
    service: side("service"),
    any: side("any"),
    p50Ratio: ratio("service", "p50Ns"),
    rateRatio: ratio("service", "perSecond"),
    anyP50Ratio: ratio("any", "p50Ns"),
    translated,
  };
}

function parse(output: string): Record<SideName, Side[]> {
  const sides: Record<SideName, Side[]> = { direct: [], pass: [], service: [], any: [] };
  for (const line of output.trim().split("\n")) {
    const [name, p50, , rate] = line.split(" ");
    if (name !== undefined && name in sides)
      sides[name as SideName].push({ p50Ns: Number(p50), perSecond: Number(rate) });
  }
  return sides;
}
