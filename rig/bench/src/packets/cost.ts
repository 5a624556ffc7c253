/** What a packet costs in from_network, net of an empty program in the same kind of run. */
import type { TestContext } from "node:test";
import { native } from "@isthmus/bpf";
import { loadPodPrograms, loadTestObject, makePacket, TcpFlag } from "@isthmus/bpf/testing";
import { median } from "../datapath/stats.js";

export interface PacketCost {
  /** ns of a packet of a flow that has a row. */
  readonly establishedNs: number;
  /** ns of the first packet of a flow, when a client takes its ports in turn, as Linux does. */
  readonly newFlowNs: number;
  /** The same with ports at random: the row is in no cache of the processor. */
  readonly scatteredNs: number;
}

const TARGET = "10.1.0.2";
const FLOWS = 20_000;
/** Below a TTL of 64, which each run makes one less. */
const REPEAT = 50;
const MAC = "02:00:00:00:00:01";

export async function measureCost(): Promise<PacketCost> {
  const undo: (() => void)[] = [];
  const t = { after: (step?: unknown) => void undo.push(step as () => void) } as Pick<TestContext, "after">;
  try {
    const programs = loadPodPrograms(t, { flows: 524_288 });
    programs.addPod({ address: TARGET, ifindex: 1, mac: MAC, hostMac: MAC });
    programs.addRange("10.1.0.0/16", 1);
    programs.addRange("10.2.0.0/16", 1);
    const program = programs.fd("from_network");
    const empty = loadTestObject(t, "device_test").program("accept");
    const packetOf = (host: number, sourcePort: number, flags: number) =>
      makePacket({ source: `10.2.0.${host}`, target: TARGET, sourceMac: MAC, sourcePort, flags });
    const run = async (fd: typeof program, packet: Uint8Array, repeat: number) =>
      (await native().testRun(fd, packet, repeat)).durationNs;
    const [first, scattered, firstEmpty, later, laterEmpty]: number[][] = [[], [], [], [], []];
    for (let i = 1; i <= FLOWS; i++) {
      const syn = packetOf(1, i, TcpFlag.Syn);
      firstEmpty?.push(await run(empty, syn, 1));
      first?.push(await run(program, syn, 1));
      // An odd factor: every port once, and none beside the one before.
      scattered?.push(await run(program, packetOf(2, (i * 40_503) & 0xffff, TcpFlag.Syn), 1));
      if (i % 10 !== 0) continue;
      const segment = packetOf(1, i, TcpFlag.Ack);
      laterEmpty?.push(await run(empty, segment, REPEAT));
      later?.push(await run(program, segment, REPEAT));
    }
    if (programs.counts()["flow_new"] !== 2 * FLOWS) throw new Error("Cannot trust the run: flows were not new");
    const net = (all: readonly number[] = [], none: readonly number[] = []) => median([...all]) - median([...none]);
    return {
      establishedNs: net(later, laterEmpty),
      newFlowNs: net(first, firstEmpty),
      scatteredNs: net(scattered, firstEmpty),
    };
  } finally {
    for (const step of undo.reverse()) step();
  }
}
