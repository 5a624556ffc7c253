/** The programs of pod.bpf.c with maps of their own: pods of this node, ranges of the mesh, flows. */
import type { TestContext } from "node:test";
import { type Address, formatAddress, parseAddress, parsePrefix } from "@isthmus/model";
import {
  EndpointKey,
  EndpointRow,
  FlowKey,
  FlowRow,
  FlowWord,
  MAP_NAMES,
  PodRangeKey,
  PodRangeRow,
} from "../gen/index.js";
import { readMetrics } from "../metrics.js";
import { native } from "../native.js";
import { macBytes } from "../netlink/links.js";
import { loadTestObject } from "./objects.js";
import { runOnSkb, type SkbRun } from "./skb-run.js";

export type PodProgram = "from_pod" | "to_pod" | "from_network" | "to_network";

export interface TestPod {
  readonly address: string;
  readonly ifindex: number;
  readonly mac: string;
  readonly hostMac: string;
}

/** An entry of mesh_conntrack: its ends as `10.1.0.1:80`, and the flags of the packets from each. */
export interface TestFlow {
  readonly flags: ReadonlyMap<string, number>;
  readonly row: FlowRow;
  /** Key of the entry, to change it. */
  readonly key: Uint8Array;
}

/** Loaded with new maps, which the test's end closes. */
export function loadPodPrograms(t: TestContext, flows = 1024) {
  const loaded = loadTestObject(t, "pod", { [MAP_NAMES.conntrack]: flows });
  const rows = loaded.array(MAP_NAMES.endpoints);
  let next = 1;

  return {
    fd: (name: PodProgram) => loaded.program(name),
    /** Runs a program on a frame, on the loopback device of the process. */
    program: (name: PodProgram, packet: Uint8Array): Promise<SkbRun> => runOnSkb(loaded.program(name), { packet }),
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
      const { keys, values, count } = native().mapDump(loaded.map(MAP_NAMES.conntrack), undefined, flows);
      return Array.from({ length: count }, (_, i) => {
        const key = keys.subarray(i * FlowKey.size, (i + 1) * FlowKey.size);
        const { a, b, pa, pb } = FlowKey.decode(key);
        const row = FlowRow.decode(values, i * FlowRow.size);
        const [own = 0n, reply = 0n] = row.word;
        return {
          key,
          row,
          flags: new Map([
            [`${formatAddress(a as Address)}:${pa}`, FlowWord.fromWord(own).flags],
            [`${formatAddress(b as Address)}:${pb}`, FlowWord.fromWord(reply).flags],
          ]),
        };
      });
    },
    forgetFlows(): void {
      const map = loaded.map(MAP_NAMES.conntrack);
      for (const { key } of this.flows()) native().mapDelete(map, key);
    },
    /** Replaces the entry of a flow. */
    putFlow(key: Uint8Array, row: FlowRow): void {
      native().mapUpdate(loaded.map(MAP_NAMES.conntrack), key, FlowRow.encode(row), 0);
    },
    /** Counters that are not 0. */
    counts(): Readonly<Record<string, number>> {
      const all = [...readMetrics(loaded.map(MAP_NAMES.metrics))];
      return Object.fromEntries(all.filter(([, value]) => value !== 0));
    },
    run(
      program: PodProgram,
      packet: Uint8Array,
      context: { ifindex?: number; mark?: number },
      netns?: string,
    ): Promise<SkbRun> {
      return runOnSkb(loaded.program(program), { packet, context, ...(netns === undefined ? {} : { netns }) });
    },
  };
}
