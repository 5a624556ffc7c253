/** A datapath port that counts writes through it; a batch call counts each of its entries. */
import type { measureNode } from "@isthmus/agent";

type DatapathPort = Parameters<typeof measureNode>[0];
type ArrayPort = DatapathPort["services"];
type HashPort = DatapathPort["frontends"];
type TablesPort = DatapathPort["tables"];

export interface CountedPort {
  readonly port: DatapathPort;
  /** Returns the writes since the last call; `served`: those to maps from which programs choose backends. */
  take(): { readonly served: number; readonly all: number };
}

export function countWrites(real: DatapathPort): CountedPort {
  let [served, floors] = [0, 0];
  const serve = (count: number): void => {
    served += count;
  };

  function array(port: ArrayPort, count: (writes: number) => void): ArrayPort {
    const counted =
      <First, Rest extends readonly unknown[]>(call: (first: First, ...rest: Rest) => void) =>
      (first: First, ...rest: Rest): void => {
        count(first instanceof Uint32Array ? first.length : 1);
        call(first, ...rest);
      };
    return {
      name: port.name,
      entrySize: port.entrySize,
      maxEntries: port.maxEntries,
      read: port.read,
      writeBody: counted(port.writeBody),
      storeWord32: counted(port.storeWord32),
      storeWord64: counted(port.storeWord64),
      writeBodies: counted(port.writeBodies),
      storeWords32: counted(port.storeWords32),
      storeWords64: counted(port.storeWords64),
    };
  }

  function hash(port: HashPort): HashPort {
    return {
      ...port,
      insert(entries) {
        serve(entries.size);
        return port.insert(entries);
      },
      delete(keys) {
        serve(keys.size);
        return port.delete(keys);
      },
    };
  }

  function tables(port: TablesPort): TablesPort {
    const segments = port.segments.map((segment) => array(segment, serve));
    return {
      linesPerSegment: port.linesPerSegment,
      maxSegments: port.maxSegments,
      segments,
      async addSegment() {
        const segment = array(await port.addSegment(), serve);
        segments.push(segment);
        return segment;
      },
    };
  }

  return {
    port: {
      frontends: hash(real.frontends),
      serviceRanges: {
        ...real.serviceRanges,
        replace(ranges) {
          serve(1);
          return real.serviceRanges.replace(ranges);
        },
      },
      services: array(real.services, serve),
      backends: array(real.backends, serve),
      clusterState: array(real.clusterState, serve),
      nodeState: array(real.nodeState, serve),
      nodes: array(real.nodes, serve),
      floors: array(real.floors, (writes) => {
        floors += writes;
      }),
      tables: tables(real.tables),
      gracePeriod: real.gracePeriod,
    },
    take() {
      const taken = { served, all: served + floors };
      [served, floors] = [0, 0];
      return taken;
    },
  };
}
