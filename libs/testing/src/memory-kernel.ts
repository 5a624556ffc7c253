/**
 * One node's datapath maps in memory.
 *
 * ```
 *   kernel.open() ──► DatapathPort of one "process"      kernel.log.killBefore(n): dies before its n-th write
 *   kernel.open() ──► the next process on the same memory; the previous one can no longer write
 * ```
 */
import type { DatapathPort, PacketPath, PolicyPort } from "@isthmus/bpf";
import {
  BackendRow,
  EndpointKey,
  EndpointRow,
  FloorRow,
  FrontendKey,
  FrontendRow,
  IpcacheKey,
  IpcachePrefixKey,
  IpcacheRow,
  MAP_NAMES,
  NodeRow,
  PolicyPeerKey,
  PolicyPeerRow,
  PolicyPortKey,
  PolicyPortRow,
  PolicySetRow,
  ServiceRow,
  StateWord,
  TableLine,
} from "@isthmus/bpf/schema";
import { MeshError } from "@isthmus/model";
import type { ArrayPort } from "@isthmus/reconcile";
import { createMemoryArray } from "./memory-array.js";
import { createMemoryHash, type HashMemory } from "./memory-hash.js";
import { createMemoryRanges, type RangesMemory } from "./memory-ranges.js";
import { createWriteLog, type WriteLog, type Writer } from "./write-log.js";

export interface KernelSizes {
  readonly frontends: number;
  readonly serviceRanges: number;
  readonly services: number;
  readonly backends: number;
  readonly nodes: number;
  readonly clusters: number;
  readonly linesPerSegment: number;
  readonly maxSegments: number;
  /** Of the maps of mode `packets`; `SMALL_PACKETS` unless given. */
  readonly packets?: PacketSizes;
}

/** Entries of the maps of pods, policies and identities. */
export interface PacketSizes {
  readonly pods: number;
  readonly sets: number;
  readonly peers: number;
  readonly ports: number;
  readonly addresses: number;
  readonly prefixes: number;
}

export const SMALL_PACKETS: PacketSizes = {
  pods: 32,
  sets: 32,
  peers: 512,
  ports: 256,
  addresses: 256,
  prefixes: 64,
};

/** The maps of one process. */
export interface MemoryPort extends DatapathPort, Pick<PacketPath, "endpointIndex" | "endpoints"> {
  readonly policy: PolicyPort;
}

export const SMALL_KERNEL: KernelSizes = {
  frontends: 256,
  serviceRanges: 8,
  services: 128,
  backends: 1024,
  nodes: 64,
  clusters: 256,
  linesPerSegment: 256,
  maxSegments: 4,
};

export interface MemoryKernel {
  readonly log: WriteLog;
  /** Starts a new process on this memory. */
  open(): MemoryPort;
  /** Grace periods do not end until `releaseGrace`. */
  holdGrace(): void;
  releaseGrace(): void;
  readonly graces: number;
}

export function createMemoryKernel(sizes: KernelSizes = SMALL_KERNEL): MemoryKernel {
  const { packets = SMALL_PACKETS } = sizes;
  const log = createWriteLog();
  const frontends: HashMemory = new Map();
  const serviceRanges: RangesMemory = { list: [] };
  const bytes = (entries: number, size: number) => new Uint8Array(entries * size);
  const arrays = {
    services: bytes(sizes.services, ServiceRow.size),
    backends: bytes(sizes.backends, BackendRow.size),
    clusterState: bytes(sizes.clusters, StateWord.size),
    nodeState: bytes(sizes.nodes, StateWord.size),
    nodes: bytes(sizes.nodes, NodeRow.size),
    floors: bytes(sizes.clusters, FloorRow.size),
    endpoints: bytes(packets.pods, EndpointRow.size),
    sets: bytes(packets.sets, PolicySetRow.size),
  };
  const hashes = {
    endpointIndex: new Map() as HashMemory,
    peers: new Map() as HashMemory,
    ports: new Map() as HashMemory,
    addresses: new Map() as HashMemory,
    prefixes: new Map() as HashMemory,
  };
  const segments: Uint8Array[] = [];
  const waiting: (() => void)[] = [];
  let holding = false;
  let graces = 0;

  const grace = async (): Promise<void> => {
    if (holding) await new Promise<void>((resolve) => waiting.push(resolve));
    graces++;
  };

  function open(): MemoryPort {
    const writer = log.newWriter();
    const array = (name: string, entrySize: number, maxEntries: number, memory: Uint8Array): ArrayPort =>
      createMemoryArray({ name, entrySize, maxEntries }, memory, writer);
    const hash = (
      name: string,
      key: { size: number },
      value: { size: number },
      maxEntries: number,
      memory: HashMemory,
    ) => createMemoryHash({ name, keySize: key.size, valueSize: value.size, maxEntries }, memory, writer);
    const ranges = { name: MAP_NAMES.serviceRanges, maxEntries: sizes.serviceRanges };
    return {
      frontends: hash(MAP_NAMES.frontends, FrontendKey, FrontendRow, sizes.frontends, frontends),
      serviceRanges: createMemoryRanges(ranges, serviceRanges, writer),
      services: array(MAP_NAMES.services, ServiceRow.size, sizes.services, arrays.services),
      backends: array(MAP_NAMES.backends, BackendRow.size, sizes.backends, arrays.backends),
      clusterState: array(MAP_NAMES.clusterState, StateWord.size, sizes.clusters, arrays.clusterState),
      nodeState: array(MAP_NAMES.nodeState, StateWord.size, sizes.nodes, arrays.nodeState),
      nodes: array(MAP_NAMES.nodes, NodeRow.size, sizes.nodes, arrays.nodes),
      floors: array(MAP_NAMES.floors, FloorRow.size, sizes.clusters, arrays.floors),
      tables: openTables(sizes, segments, writer),
      endpointIndex: hash(MAP_NAMES.endpointIndex, EndpointKey, { size: 4 }, packets.pods, hashes.endpointIndex),
      endpoints: array(MAP_NAMES.endpoints, EndpointRow.size, packets.pods, arrays.endpoints),
      policy: {
        sets: array(MAP_NAMES.policySets, PolicySetRow.size, packets.sets, arrays.sets),
        peers: hash(MAP_NAMES.policyPeers, PolicyPeerKey, PolicyPeerRow, packets.peers, hashes.peers),
        ports: hash(MAP_NAMES.policyPorts, PolicyPortKey, PolicyPortRow, packets.ports, hashes.ports),
        addresses: hash(MAP_NAMES.ipcache, IpcacheKey, IpcacheRow, packets.addresses, hashes.addresses),
        prefixes: hash(MAP_NAMES.ipcachePrefixes, IpcachePrefixKey, IpcacheRow, packets.prefixes, hashes.prefixes),
      },
      gracePeriod: grace,
    };
  }

  return {
    log,
    open,
    holdGrace() {
      holding = true;
    },
    releaseGrace() {
      holding = false;
      for (const resolve of waiting.splice(0)) resolve();
    },
    get graces() {
      return graces;
    },
  };
}

function openTables(sizes: KernelSizes, segments: Uint8Array[], writer: Writer): DatapathPort["tables"] {
  const shape = { name: MAP_NAMES.tables, entrySize: TableLine.size, maxEntries: sizes.linesPerSegment };
  const ports = segments.map((memory) => createMemoryArray(shape, memory, writer));
  return {
    linesPerSegment: sizes.linesPerSegment,
    maxSegments: sizes.maxSegments,
    segments: ports,
    async addSegment() {
      if (ports.length >= sizes.maxSegments) {
        throw new MeshError(
          { code: "MAP_FULL", map: shape.name, maxEntries: sizes.maxSegments * sizes.linesPerSegment },
          `Cannot add a segment to ${shape.name}: all ${sizes.maxSegments} are used`,
        );
      }
      const write = { map: shape.name, what: "insert" as const, at: ports.length };
      writer.begin(write);
      const memory = new Uint8Array(sizes.linesPerSegment * TableLine.size);
      segments.push(memory);
      const port = createMemoryArray(shape, memory, writer);
      ports.push(port);
      writer.end(write);
      return port;
    },
  };
}
