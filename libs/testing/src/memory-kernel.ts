/**
 * One node's datapath maps in memory.
 *
 * ```
 *   kernel.open() ──► DatapathPort of one "process"      kernel.log.killBefore(n): dies before its n-th write
 *   kernel.open() ──► the next process on the same memory; the previous one can no longer write
 * ```
 */
import type { DatapathPort } from "@isthmus/bpf";
import {
  BackendRow,
  FloorRow,
  FrontendKey,
  FrontendRow,
  MAP_NAMES,
  NodeRow,
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

export function createMemoryKernel(sizes: KernelSizes = SMALL_KERNEL): MemoryKernel {
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
    const hash = (name: string, maxEntries: number, memory: HashMemory) =>
      createMemoryHash({ name, keySize: FrontendKey.size, valueSize: FrontendRow.size, maxEntries }, memory, writer);
    const ranges = { name: MAP_NAMES.serviceRanges, maxEntries: sizes.serviceRanges };
    return {
      frontends: hash(MAP_NAMES.frontends, sizes.frontends, frontends),
      serviceRanges: createMemoryRanges(ranges, serviceRanges, writer),
      services: array(MAP_NAMES.services, ServiceRow.size, sizes.services, arrays.services),
      backends: array(MAP_NAMES.backends, BackendRow.size, sizes.backends, arrays.backends),
      clusterState: array(MAP_NAMES.clusterState, StateWord.size, sizes.clusters, arrays.clusterState),
      nodeState: array(MAP_NAMES.nodeState, StateWord.size, sizes.nodes, arrays.nodeState),
      nodes: array(MAP_NAMES.nodes, NodeRow.size, sizes.nodes, arrays.nodes),
      floors: array(MAP_NAMES.floors, FloorRow.size, sizes.clusters, arrays.floors),
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
