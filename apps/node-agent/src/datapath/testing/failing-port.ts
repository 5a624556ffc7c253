/**
 * For tests: a datapath port over any kernel, whose n-th write fails and whose grace periods can be delayed.
 *
 * Calls of many writes are made write by write, so that a failure leaves the first part of a call in the kernel.
 */
import type { DatapathPort } from "@isthmus/bpf";
import { MeshError } from "@isthmus/model";
import type { ArrayPort, BatchResult, HashPort, RangesPort } from "@isthmus/reconcile";

export class WriteFailed extends Error {
  constructor() {
    super("The kernel refused the write");
  }
}

export interface FailingPort {
  readonly port: DatapathPort;
  /** The n-th write from now on fails (0 = the next one), and only that one. */
  failAt(n: number): void;
  /** Number of writes, failed ones included. */
  readonly writes: number;
  /** Grace periods do not end until the returned function is called. */
  holdGrace(): () => void;
}

export function createFailingPort(real: DatapathPort): FailingPort {
  let writes = 0;
  let failing = -1;
  let graceGate: Promise<void> = Promise.resolve();

  function write<T>(act: () => T): T {
    if (writes++ === failing) throw new WriteFailed();
    return act();
  }

  function hash(port: HashPort): HashPort {
    return {
      ...port,
      load: () => port.load(),
      insert: (entries) => reported(entries.keys(), () => port.insert(entries)),
      delete: (keys) => reported(keys, () => port.delete(keys)),
    };
  }

  /** As in libs/bpf, a failed write of a hash map is reported for each key. */
  async function reported(keys: Iterable<string>, act: () => Promise<BatchResult>): Promise<BatchResult> {
    try {
      return await write(act);
    } catch (thrown) {
      if (!(thrown instanceof WriteFailed)) throw thrown;
      return { done: new Set(), failed: new Map([...keys].map((key) => [key, thrown])) };
    }
  }

  function ranges(port: RangesPort): RangesPort {
    return {
      ...port,
      async replace(list) {
        try {
          await write(() => port.replace(list));
        } catch (thrown) {
          throw MeshError.from(thrown, "Cannot replace the list");
        }
      },
    };
  }

  function array(port: ArrayPort): ArrayPort {
    const { name, entrySize, maxEntries } = port;
    const offset = (offsets: Uint32Array, i: number): number => offsets[i] ?? 0;
    return {
      name,
      entrySize,
      maxEntries,
      read: (index, count) => port.read(index, count),
      writeBody: (...call) => write(() => port.writeBody(...call)),
      storeWord32: (...call) => write(() => port.storeWord32(...call)),
      storeWord64: (...call) => write(() => port.storeWord64(...call)),
      writeBodies(indexes, bytes, at) {
        const size = bytes.length / indexes.length;
        indexes.forEach((index, i) => {
          write(() => port.writeBody(index, bytes.subarray(i * size, (i + 1) * size), at));
        });
      },
      storeWords32: (indexes, offsets, values) =>
        indexes.forEach((index, i) => {
          write(() => port.storeWord32(index, offset(offsets, i), values[i] ?? 0));
        }),
      storeWords64: (indexes, offsets, values) =>
        indexes.forEach((index, i) => {
          write(() => port.storeWord64(index, offset(offsets, i), values[i] ?? 0n));
        }),
    };
  }

  const segments = real.tables.segments.map(array);
  return {
    port: {
      frontends: hash(real.frontends),
      serviceRanges: ranges(real.serviceRanges),
      services: array(real.services),
      backends: array(real.backends),
      clusterState: array(real.clusterState),
      nodeState: array(real.nodeState),
      nodes: array(real.nodes),
      floors: array(real.floors),
      tables: {
        linesPerSegment: real.tables.linesPerSegment,
        maxSegments: real.tables.maxSegments,
        segments,
        async addSegment() {
          write(() => undefined);
          const segment = array(await real.tables.addSegment());
          segments.push(segment);
          return segment;
        },
      },
      async gracePeriod() {
        await graceGate;
        await real.gracePeriod();
      },
    },
    failAt(n) {
      failing = writes + n;
    },
    get writes() {
      return writes;
    },
    holdGrace() {
      let release = (): void => undefined;
      graceGate = new Promise((resolve) => {
        release = resolve;
      });
      return release;
    },
  };
}
