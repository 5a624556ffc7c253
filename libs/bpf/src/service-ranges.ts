/**
 * Implements RangesPort on mesh_service_ranges, a map of maps with one entry: the list of ranges in force. The list has
 * no pin; the outer map keeps it alive, as with the segments of the tables.
 */
import { type Address, MeshError, type Prefix, prefixMask } from "@isthmus/model";
import type { RangesPort } from "@isthmus/reconcile";
import { errnoOf, mapFull } from "./errors.js";
import { Limit, MAP_NAMES, ServiceRangeRow } from "./gen/index.js";
import { innerMap, word } from "./map-of-maps.js";
import { type Fd, type MapShape, native } from "./native.js";

const ACTION = "replace the list of";

/** `shape`: of a list. */
export function createServiceRanges(outer: Fd, shape: MapShape): RangesPort {
  const name = MAP_NAMES.serviceRanges;

  async function replace(ranges: readonly Prefix[]): Promise<void> {
    if (ranges.length > Limit.ServiceRanges) throw mapFull(name, Limit.ServiceRanges, ACTION);
    // This handle is held until the update's grace period is over: kernels without the fix of CVE-2023-52447 (6.1.75,
    // 6.6.14) free a replaced map while programs still read it, unless another reference exists.
    const replaced = innerMap(outer, 0);
    let list: Fd | undefined;
    try {
      list = native().mapCreate({ ...shape, name: "mesh_ranges_v1" });
      for (const [i, range] of ranges.entries()) native().mapUpdate(list, word(i), encode(range), 0);
      await native().mapUpdateSlow(outer, word(0), word(list.fd));
    } finally {
      list?.close();
      replaced?.close();
    }
  }

  function read(): readonly Prefix[] {
    const list = innerMap(outer, 0);
    if (list === undefined) return [];
    try {
      return readList(list);
    } finally {
      list.close();
    }
  }

  return {
    name,
    maxEntries: Limit.ServiceRanges,
    load: async () => read(),
    read,
    async replace(ranges) {
      await replace(ranges).catch((cause: unknown) => {
        if (cause instanceof MeshError) throw cause;
        const errno = errnoOf(cause);
        throw new MeshError({ code: "MAP_IO", map: name, errno }, `Cannot ${ACTION} map "${name}": ${errno}`);
      });
    },
  };
}

function readList(list: Fd): readonly Prefix[] {
  const ranges: Prefix[] = [];
  for (let i = 0; i < Limit.ServiceRanges; i++) {
    const row = native().mapLookup(list, word(i));
    const range = row && decode(row);
    if (range === undefined || range.length === 0) break;
    ranges.push(range);
  }
  return ranges;
}

function encode({ address, length }: Prefix): Uint8Array {
  return ServiceRangeRow.encode({ addr: address, mask: prefixMask(length) });
}

function decode(row: Uint8Array): Prefix {
  const { addr, mask } = ServiceRangeRow.decode(row);
  const length = [...mask].reduce((bits, byte) => bits + byte.toString(2).replaceAll("0", "").length, 0);
  return { address: addr as Address, length };
}
