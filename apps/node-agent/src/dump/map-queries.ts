/** Answers to queries for the rows of a map of this node. */
import type { PacketPath } from "@isthmus/bpf";
import { FLOW_MAP, isNodeMap, MAX_MAP_ROWS, NODE_MAPS } from "@isthmus/model";
import type { MapQuery } from "@isthmus/proto";
import type { PodNames } from "../events/pod-names.js";
import type { ServiceNames } from "../events/service-names.js";
import { flowTable } from "./flow-table.js";
import { type MapParts, type MapTable, readParts } from "./map-rows.js";
import { isPacketMap, type NodePort, nodeTables, packetTables } from "./node-maps.js";

export interface MapQueriesModules {
  /** The node's maps; those of packets are absent in mode `sockets`. */
  readonly port: NodePort & {
    readonly packets: Pick<PacketPath, "endpointIndex" | "endpoints" | "podRanges" | "policy" | "flows"> | undefined;
  };
  /** The pods of this node. */
  readonly pods: PodNames;
  /** The names of Services. */
  readonly services: ServiceNames;
  /** The clock of the programs. */
  readonly monotonicNs: () => bigint;
}

/** Most addresses of a query: a pod has two. */
const MAX_SOURCES = 16;

export type { MapParts } from "./map-rows.js";

export interface MapQueries {
  /** The rows, or why there are none. */
  open(query: MapQuery): MapParts | { readonly problem: string };
}

/** Reads nothing before the first part of an answer. */
export function createMapQueries({ port, pods, services, monotonicNs }: MapQueriesModules): MapQueries {
  const { packets } = port;
  const ofNode = nodeTables(port);
  const ofPackets = packets && packetTables(packets, pods);

  function tableOf({ map, sources }: MapQuery): MapTable | { readonly problem: string } {
    const withoutPackets = {
      problem: `its agent runs with --datapath-mode sockets, which has no ${map}: only packets has`,
    };
    if (map === FLOW_MAP)
      return packets === undefined
        ? withoutPackets
        : flowTable({ table: packets.flows, pods, services, sources, monotonicNs });
    if (!isNodeMap(map))
      return {
        problem: `the agent does not know this map, so it is of another version; it knows ${[...NODE_MAPS, FLOW_MAP].join(", ")}`,
      };
    if (!isPacketMap(map)) return ofNode[map];
    return ofPackets?.[map] ?? withoutPackets;
  }

  return {
    open(query) {
      if (query.limit < 1 || query.limit > MAX_MAP_ROWS)
        return { problem: `the agent shows 1 to ${MAX_MAP_ROWS} rows, not ${query.limit}` };
      if (query.sources.length > MAX_SOURCES || query.sources.some(({ length }) => length !== 16))
        return { problem: `the agent takes at most ${MAX_SOURCES} addresses of 16 bytes each` };
      const table = tableOf(query);
      return "problem" in table ? table : readParts(table, query.limit);
    },
  };
}
