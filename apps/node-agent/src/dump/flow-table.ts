/**
 * The flows of mesh_conntrack, the one with the latest packet first.
 *
 * Programs change the table while it is read. A first pass notes the age of each row that is wanted, from which the order
 * follows in linear time; a row is read again when it is shown, and left out when it has another flow by then.
 */
import {
  createBodyReader,
  createFlowReader,
  type OriginalDestination,
  type Flow,
  FlowBody,
  FlowFlag,
  FlowFlagHelp,
  FlowRow,
  type FlowTable,
  flowTime,
  Limit,
} from "@isthmus/bpf";
import { bytesKey, formatAddress, protocolName } from "@isthmus/model";
import type { MapSummary } from "@isthmus/proto";
import type { PodNames } from "../events/pod-names.js";
import type { ServiceNames } from "../events/service-names.js";
import type { MapTable, RowSteps } from "./map-rows.js";
import { bitNames } from "./node-maps.js";

/** Of the ends that are pods of this node, and of the Services that these dialled. */
interface FlowNames {
  readonly pods: Pick<PodNames, "byAddress">;
  readonly services: ServiceNames;
}

export interface FlowTableOptions extends FlowNames {
  readonly table: FlowTable;
  /** Only flows that one of these addresses began; empty: all. */
  readonly sources: readonly Uint8Array[];
  /** The clock of the programs. */
  readonly monotonicNs: () => bigint;
}

/** Sets that are read at once; 256 rows take a tenth of a millisecond. */
const SETS = 64;
/** Rows that are put into their order at once. */
const ORDERED = 8192;
/** A flow's age has 16 bits. */
const AGES = 0x10000;
const SECONDS = 2 ** 30 / 1e9;

const PROTOCOLS: ReadonlyMap<number, string> = new Map([
  [1, "ICMP"],
  [58, "ICMPv6"],
]);

export function flowTable({ table, sources, monotonicNs, ...names }: FlowTableOptions): MapTable {
  const [readFlow, readBody] = [createFlowReader(table.seed), createBodyReader(table.seed)];
  const wanted = new Set(sources.map(bytesKey));
  const isWanted = ({ source, state }: Flow) =>
    state !== "ended" && (wanted.size === 0 || wanted.has(bytesKey(source)));

  /**
   * A body is written before its row has the `gen` that the body's check covers, with the key and the content, and not again
   * while it has. So one that fits the copy of a row is of that flow, whenever it was copied. When the row had another flow by
   * then, this one is shown with the flag and without the Service.
   */
  function origDstOf(row: Uint8Array, { flags }: Flow, set: number, place: number): OriginalDestination | undefined {
    if ((flags & FlowFlag.Service) === 0) return undefined;
    return readBody(row, table.readBodies(set, 1).subarray(place * FlowBody.size));
  }

  function* steps(limit: number, leftOut: MapSummary): RowSteps {
    const rows = table.maxEntries * Limit.FlowSet;
    /** 1 + age of each row that is wanted; 0: not wanted. */
    const ages = new Uint32Array(rows);
    /** Rows of each age, and then the place of the next of them. */
    const places = new Uint32Array(AGES);
    let found = 0;
    for (let set = 0; set < table.maxEntries; set += SETS) {
      const bytes = table.read(set, Math.min(SETS, table.maxEntries - set));
      const now = flowTime(monotonicNs());
      for (let at = 0; at < bytes.length; at += FlowRow.size) {
        const flow = readFlow(bytes, at, now);
        if (typeof flow === "string") {
          if (flow !== "unused") leftOut[flow]++;
        } else if (isWanted(flow)) {
          ages[set * Limit.FlowSet + at / FlowRow.size] = 1 + flow.age;
          places[flow.age] = (places[flow.age] ?? 0) + 1;
          found++;
        } else if (flow.state === "ended") leftOut.ended++;
      }
      yield undefined;
    }
    let place = 0;
    for (let age = 0; age < AGES; age++) {
      const count = places[age] ?? 0;
      places[age] = place;
      place += count;
    }
    const order = new Uint32Array(Math.min(limit, found));
    for (let row = 0; row < rows; row++) {
      const age = ages[row] ?? 0;
      if (age > 0) {
        const at = places[age - 1] ?? 0;
        places[age - 1] = at + 1;
        if (at < order.length) order[at] = row;
      }
      if (row % ORDERED === 0) yield undefined;
    }
    leftOut.more = found - order.length;
    for (const row of order) {
      const [set, place] = [Math.floor(row / Limit.FlowSet), row % Limit.FlowSet];
      const bytes = table.read(set, 1).subarray(place * FlowRow.size);
      const flow = readFlow(bytes, 0, flowTime(monotonicNs()));
      if (typeof flow === "string" || !isWanted(flow)) {
        leftOut.busy++;
        yield undefined;
      } else {
        const origDst = origDstOf(bytes, flow, set, place);
        yield () => cells(flow, origDst, names);
      }
    }
  }

  return {
    columns: [
      ["source", "text"],
      ["source-port", "number"],
      ["source-pod", "text"],
      ["destination", "text"],
      ["destination-port", "number"],
      ["destination-pod", "text"],
      ["vip", "text"],
      ["vip-port", "number"],
      ["service", "text"],
      ["protocol", "text"],
      ["state", "text"],
      ["age-s", "number"],
      ["flags", "list"],
      ["answer-flags", "list"],
    ],
    steps,
  };
}

function cells(flow: Flow, origDst: OriginalDestination | undefined, { pods, services }: FlowNames) {
  const podAt = (address: Uint8Array) => nameText(pods.byAddress(address));
  const service = origDst && services.byFrontend(origDst.vip, origDst.vipPort, flow.protocol);
  // What the columns say already.
  const shown = FlowFlag.Initiator | (origDst === undefined ? 0 : FlowFlag.Service);
  const flags = (bits: number) => bitNames(FlowFlagHelp, bits & ~shown);
  return [
    ...[formatAddress(flow.source), flow.sourcePort, podAt(flow.source)],
    ...[formatAddress(flow.destination), flow.destinationPort, podAt(flow.destination)],
    ...(origDst === undefined ? ["", ""] : [formatAddress(origDst.vip), origDst.vipPort]),
    nameText(service),
    ...[PROTOCOLS.get(flow.protocol) ?? protocolName(flow.protocol), flow.state, Math.round(flow.age * SECONDS)],
    ...[flags(flow.flags), flags(flow.answerFlags)],
  ];
}

function nameText(object: { readonly namespace: string; readonly name: string } | undefined): string {
  return object === undefined ? "" : `${object.namespace}/${object.name}`;
}
