/** The programs of pod.bpf.c with maps of their own: pods of this node, ranges of the mesh, flows. */
import { randomBytes } from "node:crypto";
import { type Address, formatAddress, parseAddress, parsePrefix } from "@isthmus/model";
import { viewOf } from "../codec.js";
import type { FlowTable } from "../flows.js";
import {
  EndpointKey,
  EndpointRow,
  FlowGen,
  FlowRow,
  FlowWord,
  Limit,
  MAP_NAMES,
  PodRangeKey,
  PodRangeRow,
} from "../gen/index.js";
import { readMetrics } from "../metrics.js";
import { type Fd, native } from "../native.js";
import { macBytes } from "../netlink/links.js";
import { openPacketEvents } from "../packet-events.js";
import { type ObjectUser, takeObject } from "./object-pool.js";
import { readEvents } from "./read-events.js";
import type { SkbContext, SkbRun } from "./skb-run.js";

export type PodProgram = "from_pod" | "to_pod" | "from_network" | "to_network";

export interface TestPod {
  readonly address: string;
  readonly ifindex: number;
  readonly mac: string;
  readonly hostMac: string;
}

/** A row of mesh_conntrack: its ends as `10.1.0.1:80`, and the flags of the packets from each. */
export interface TestFlow {
  readonly flags: ReadonlyMap<string, number>;
  readonly row: FlowRow;
  /** Place of the row, to change it: its set, and its number there. */
  readonly place: readonly [set: number, row: number];
}

/** Of sets in the tests of programs: flows meet in a set by chance, and never by the numbers of their ports. */
const SEED = randomBytes(8).readBigUInt64LE();

/** Entries of the maps whose memory the kernel clears when it makes them. */
const SMALL = {
  [MAP_NAMES.events]: 1 << 20,
  [MAP_NAMES.frontends]: 256,
  [MAP_NAMES.udpSticky]: 1024,
  [MAP_NAMES.udpReverse]: 1024,
};

export interface PodProgramsOptions {
  /** Room for as many flows, in sets of `Limit.FlowSet`; 1024 by default. */
  readonly flows?: number;
  /** Entries of other maps, by `MAP_NAMES`. */
  readonly entries?: Readonly<Record<string, number>>;
  /** `pod` by default. */
  readonly object?: "pod" | "dialling_test" | "no_rescue_test";
}

/** With maps that are as new; an earlier test of the process may have loaded them (`takeObject`). */
export function loadPodPrograms(
  t: ObjectUser,
  { flows = 1024, entries = {}, object = "pod" }: PodProgramsOptions = {},
) {
  const sets = flows / Limit.FlowSet;
  const config = { flowSeed: SEED, flowSets: BigInt(sets) };
  const { run, ...loaded } = takeObject(
    t,
    object,
    { ...SMALL, ...entries, [MAP_NAMES.conntrack]: sets, [MAP_NAMES.flowBodies]: sets },
    config,
  );
  const table = loaded.map(MAP_NAMES.conntrack);
  const bodies = loaded.map(MAP_NAMES.flowBodies);
  const readSet = (set: number) => native().mapLookup(table, setKey(set)) ?? new Uint8Array();
  const readSets = (map: Fd, set: number, count: number) =>
    Buffer.concat(
      Array.from({ length: count }, (_, i) => native().mapLookup(map, setKey(set + i)) ?? new Uint8Array()),
    );
  const rows = loaded.array(MAP_NAMES.endpoints);
  let next = 1;
  let events: ReturnType<typeof openPacketEvents> | undefined;

  function openEvents() {
    if (events !== undefined) return events;
    const opened = openPacketEvents(loaded.map);
    t.after(() => opened.close());
    events = opened;
    return opened;
  }

  return {
    /** What the programs write of events. */
    events: openEvents,
    /** The next `count` events, in their order; waits for them. */
    readEvents: (count: number) => readEvents(openEvents(), count),
    fd: (program: PodProgram) => loaded.program(program),
    loaded,
    /** An open map, by `MAP_NAMES`. */
    map: loaded.map,
    /** Runs a program on a frame, on the loopback device of the process. */
    program: (program: PodProgram, packet: Uint8Array): Promise<SkbRun> => run(program, { packet }),
    addPod({ address, ifindex, mac, hostMac }: TestPod): void {
      const [index, addr] = [next++, parseAddress(address)];
      const key = EndpointKey.encode({ addr });
      const row = { ...EndpointRow.decode(new Uint8Array(EndpointRow.size)), ifindex, addr };
      const bytes = EndpointRow.encode({ ...row, mac: macBytes(mac), hostMac: macBytes(hostMac) });
      rows.writeBody(index, bytes.subarray(EndpointRow.offsets.ifindex), EndpointRow.offsets.ifindex);
      rows.storeWord32(index, EndpointRow.offsets.id, index);
      const value = new Uint8Array(Uint32Array.of(index).buffer);
      native().mapUpdate(loaded.map(MAP_NAMES.endpointIndex), key, value, 0);
    },
    addRange(cidr: string, cluster: number): void {
      const { address, length } = parsePrefix(cidr);
      const key = PodRangeKey.encode({ length, addr: address });
      native().mapUpdate(loaded.map(MAP_NAMES.podRanges), key, PodRangeRow.encode({ cluster, flags: 0 }), 0);
    },
    flows(): readonly TestFlow[] {
      return Array.from({ length: sets }, (_, set) => {
        const bytes = readSet(set);
        return Array.from({ length: Limit.FlowSet }, (_each, row): TestFlow[] => {
          const { gen } = FlowRow.offsets;
          const isUsed = viewOf(bytes, row * FlowRow.size, FlowRow.size).getUint32(gen, true) !== FlowGen.Unused;
          if (!isUsed) return [];
          const decoded = FlowRow.decode(bytes, row * FlowRow.size);
          return [{ row: decoded, place: [set, row], flags: flagsOf(decoded) }];
        });
      }).flat(2);
    },
    /** The table as an agent reads it. */
    flowTable: (): FlowTable => ({
      maxEntries: sets,
      seed: SEED,
      read: (set, count = 1) => readSets(table, set, count),
      readBodies: (set, count = 1) => readSets(bodies, set, count),
    }),
    forgetFlows(): void {
      const empty = new Uint8Array(Limit.FlowSet * FlowRow.size);
      for (let set = 0; set < sets; set++) native().mapUpdate(table, setKey(set), empty, 0);
    },
    /** Changes the row of a flow. */
    putFlow([set, row]: TestFlow["place"], value: FlowRow): void {
      const bytes = readSet(set);
      bytes.set(FlowRow.encode(value), row * FlowRow.size);
      native().mapUpdate(table, setKey(set), bytes, 0);
    },
    /** Counters that are not 0. */
    counts(): Readonly<Record<string, number>> {
      const all = [...readMetrics(loaded.map(MAP_NAMES.metrics))];
      return Object.fromEntries(all.filter(([, value]) => value !== 0));
    },
    run(program: PodProgram, packet: Uint8Array, context: Partial<SkbContext>, netns?: string): Promise<SkbRun> {
      return run(program, { packet, context, ...(netns === undefined ? {} : { netns }) });
    },
  };
}

function setKey(set: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(set).buffer);
}

function flagsOf({ key: { a, b, pa, pb }, word: [own = 0n, reply = 0n] }: FlowRow): ReadonlyMap<string, number> {
  return new Map([
    [`${formatAddress(a as Address)}:${pa}`, FlowWord.fromWord(own).flags],
    [`${formatAddress(b as Address)}:${pb}`, FlowWord.fromWord(reply).flags],
  ]);
}
