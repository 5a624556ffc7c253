/**
 * One node's datapath maps in memory.
 *
 * ```
 *   kernel.open() ──► DatapathPort of one "process"      kernel.log.killBefore(n): dies before its n-th write
 *   kernel.open() ──► the next process on the same memory; the previous one can no longer write
 * ```
 */
import { MeshError } from "@isthmus/model";
import type { ArrayPort, DatapathPort } from "@isthmus/reconcile";
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
  open(): DatapathPort;
  /** Grace periods do not end until `releaseGrace`. */
  holdGrace(): void;
  releaseGrace(): void;
  readonly graces: number;
}

/** Entry sizes in bytes, as in bpf/lib/types.h. */
const SIZE = { service: 64, backend: 32, node: 64, word: 4, floor: 192, line: 64 } as const;

export function createMemoryKernel(sizes: KernelSizes = SMALL_KERNEL): MemoryKernel {
  const log = createWriteLog();
  const frontends: HashMemory = new Map();
  const serviceRanges: RangesMemory = { list: [] };
  const bytes = (entries: number, size: number) => new Uint8Array(entries * size);
  const arrays = {
    services: bytes(sizes.services, SIZE.service),
    backends: bytes(sizes.backends, SIZE.backend),
    clusterState: bytes(sizes.clusters, SIZE.word),
    nodeState: bytes(sizes.nodes, SIZE.word),
    nodes: bytes(sizes.nodes, SIZE.node),
    floors: bytes(sizes.clusters, SIZE.floor),
  };
  const segments: Uint8Array[] = [];
  const waiting: (() => void)[] = [];
  let holding = false;
  let graces = 0;

  const grace = async (): Promise<void> => {
    if (holding) await new Promise<void>((resolve) => waiting.push(resolve));
    graces++;
  };

  function open(): DatapathPort {
    const writer = log.newWriter();
    const array = (name: string, entrySize: number, maxEntries: number, memory: Uint8Array): ArrayPort =>
      createMemoryArray({ name, entrySize, maxEntries }, memory, writer);
    const hash = (name: string, valueSize: number, maxEntries: number, memory: HashMemory) =>
      createMemoryHash({ name, keySize: 20, valueSize, maxEntries }, memory, writer);
    const ranges = { name: "mesh_service_ranges_v2", maxEntries: sizes.serviceRanges };
    return {
      frontends: hash("mesh_frontends_v1", 8, sizes.frontends, frontends),
      serviceRanges: createMemoryRanges(ranges, serviceRanges, writer),
      services: array("mesh_services_v1", SIZE.service, sizes.services, arrays.services),
      backends: array("mesh_backends_v1", SIZE.backend, sizes.backends, arrays.backends),
      clusterState: array("mesh_cluster_state_v1", SIZE.word, sizes.clusters, arrays.clusterState),
      nodeState: array("mesh_node_state_v1", SIZE.word, sizes.nodes, arrays.nodeState),
      nodes: array("mesh_nodes_v1", SIZE.node, sizes.nodes, arrays.nodes),
      floors: array("mesh_floors_v1", SIZE.floor, sizes.clusters, arrays.floors),
      tables: openTables(sizes, segments, writer),
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
  const shape = { name: "mesh_tables_v1", entrySize: SIZE.line, maxEntries: sizes.linesPerSegment };
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
      const memory = new Uint8Array(sizes.linesPerSegment * SIZE.line);
      segments.push(memory);
      const port = createMemoryArray(shape, memory, writer);
      ports.push(port);
      writer.end(write);
      return port;
    },
  };
}
