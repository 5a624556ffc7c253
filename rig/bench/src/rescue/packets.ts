/** What a packet of a flow that was never moved costs with rescue and without, in turns within one run. */
import type { TestContext } from "node:test";
import { native } from "@isthmus/bpf";
import { loadPodPrograms, makePacket, type PodProgram, TcpFlag } from "@isthmus/bpf/testing";
import { median } from "../datapath/stats.js";

export interface AddedToPacket {
  readonly onNs: number;
  readonly withoutNs: number;
  /** Median of the differences of pairs. */
  readonly addedNs: number;
}

export type PacketFigures = Readonly<Record<"from_pod" | "from_network", AddedToPacket>>;

const PAIRS = 6_000;
const FLOWS = 512;
/** Below a TTL of 64, which each run makes one less. */
const REPEAT = 50;
const MAC = "02:00:00:00:00:01";
/** Of the network namespace in which programs are run. */
const LOOPBACK = 1;
const LOCAL = "10.1.0.2";
const SOURCES = { from_pod: "10.1.0.1", from_network: "10.2.0.1" } as const;

type Loaded = ReturnType<typeof loadPodPrograms>;

export async function measurePackets(): Promise<PacketFigures> {
  const undo: (() => void)[] = [];
  const t = { after: (step?: unknown) => void undo.push(step as () => void) } as Pick<TestContext, "after">;
  try {
    const on = prepare(loadPodPrograms(t, { flows: 4 * FLOWS }));
    const without = prepare(loadPodPrograms(t, { flows: 4 * FLOWS, object: "no_rescue_test" }));
    return {
      from_pod: await compare(on, without, "from_pod"),
      from_network: await compare(on, without, "from_network"),
    };
  } finally {
    for (const step of undo.reverse()) step();
  }
}

function prepare(programs: Loaded): Loaded {
  for (const address of [SOURCES.from_pod, LOCAL])
    programs.addPod({ address, ifindex: LOOPBACK, mac: MAC, hostMac: MAC });
  for (const range of ["10.1.0.0/16", "10.2.0.0/16"]) programs.addRange(range, 1);
  return programs;
}

async function compare(on: Loaded, without: Loaded, program: keyof typeof SOURCES): Promise<AddedToPacket> {
  const sides = [on, without] as const;
  const packetOf = (sourcePort: number, flags: number) =>
    makePacket({ source: SOURCES[program], target: LOCAL, sourceMac: MAC, sourcePort, flags });
  for (let port = 1; port <= FLOWS; port++)
    for (const side of sides) await run(side, program, packetOf(port, TcpFlag.Syn), 1);
  const [onNs, withoutNs]: number[][] = [[], []];
  for (let i = 0; i < PAIRS; i++) {
    const packet = packetOf(1 + (i % FLOWS), TcpFlag.Ack);
    const order = i % 2 === 0 ? sides : ([without, on] as const);
    for (const side of order) (side === on ? onNs : withoutNs)?.push(await run(side, program, packet, REPEAT));
  }
  for (const side of sides)
    if ((side.counts()["flow_new"] ?? 0) < FLOWS) throw new Error("Cannot trust the run: flows have no rows");
  const [all, none] = [onNs ?? [], withoutNs ?? []];
  return {
    onNs: median(all),
    withoutNs: median(none),
    addedNs: median(all.map((ns, i) => ns - (none[i] ?? Number.NaN))),
  };
}

async function run(side: Loaded, program: PodProgram, packet: Uint8Array, repeat: number): Promise<number> {
  return (await native().testRun(side.fd(program), packet, repeat)).durationNs;
}
