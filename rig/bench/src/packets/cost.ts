/** What a packet costs in from_network, net of an empty program in the same kind of run, and what a policy adds to it. */
import type { TestContext } from "node:test";
import { native } from "@isthmus/bpf";
import { createPolicyWriter, loadPodPrograms, loadTestObject, makePacket, TcpFlag } from "@isthmus/bpf/testing";
import { TCP } from "@isthmus/model";
import { median } from "../datapath/stats.js";

/** ns of a packet. */
export interface FlowCost {
  /** Of a flow that has a row. */
  readonly establishedNs: number;
  /** The first of a flow, when a client takes its ports in turn, as Linux does. */
  readonly newFlowNs: number;
  /** The same with ports at random: the row is in no cache of the processor. */
  readonly scatteredNs: number;
}

export interface PacketCost extends FlowCost {
  /** The same for a pod whose policy has so many identities, and ports in a class. */
  readonly policies: ReadonlyMap<number, FlowCost>;
}

const TARGET = "10.1.0.2";
const FLOWS = 20_000;
/** Below a TTL of 64, which each run makes one less. */
const REPEAT = 50;
const MAC = "02:00:00:00:00:01";
const ENTRIES = [1, 100, 10_000];
/** Set, class and first identity of the policy. */
const [SET, CLASS, IDENTITY] = [1, 1, (1 << 20) | 256];
const PORT = 80;

export async function measureCost(): Promise<PacketCost> {
  const without = await measure(0);
  const policies = new Map<number, FlowCost>();
  for (const entries of ENTRIES) policies.set(entries, await measure(entries));
  return { ...without, policies };
}

/** `entries`: identities that the policy of the target allows to one port, and as many ports of their class; 0 = no policy. */
async function measure(entries: number): Promise<FlowCost> {
  const undo: (() => void)[] = [];
  const t = { after: (step?: unknown) => void undo.push(step as () => void) } as Pick<TestContext, "after">;
  try {
    const programs = loadPodPrograms(t, { flows: 524_288 });
    programs.addPod({ address: TARGET, ifindex: 1, mac: MAC, hostMac: MAC });
    programs.addRange("10.1.0.0/16", 1);
    programs.addRange("10.2.0.0/16", 1);
    if (entries > 0) enforce(createPolicyWriter(programs.loaded), entries);
    const program = programs.fd("from_network");
    const empty = loadTestObject(t, "device_test").program("accept");
    const packetOf = (host: number, sourcePort: number, flags: number) =>
      makePacket({ source: `10.2.0.${host}`, target: TARGET, sourceMac: MAC, sourcePort, targetPort: PORT, flags });
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
    const counts = programs.counts();
    if (counts["flow_new"] !== 2 * FLOWS) throw new Error("Cannot trust the run: flows were not new");
    if ((counts["judged"] ?? 0) !== (entries > 0 ? 2 * FLOWS : 0))
      throw new Error("Cannot trust the run: policy was not asked once a flow");
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

/** The two sources are among the identities, and the port among those of the class. */
function enforce(policy: ReturnType<typeof createPolicyWriter>, entries: number): void {
  policy.set(SET, {});
  for (let i = 0; i < entries; i++) policy.peer(SET, IDENTITY + i, { in: { class: CLASS } });
  policy.class(
    CLASS,
    Array.from({ length: entries }, (_, i) => ({ protocol: TCP, port: PORT + i })),
  );
  for (const host of [1, 2]) policy.identity(`10.2.0.${host}`, IDENTITY + Math.floor(entries / 2));
  policy.enforce(1, SET, 1);
}
