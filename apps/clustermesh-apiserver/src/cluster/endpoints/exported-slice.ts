/**
 * Selects the part of a slice that is exported: the backends inside this cluster's pod ranges (pure).
 *
 * Readers refuse a whole slice when one of its addresses is outside what its cluster may claim (records/validate). So backends
 * outside are left out: a pod on the host network, whose address is its node's, or an address written by hand must not cost the
 * other pods of the slice their export. The key is exported even without any backend: it exists as long as the EndpointSlice,
 * and an empty slice means the same as one that Kubernetes has emptied. A slice that exceeds the bounds of a record is exported
 * empty as well, since a reader would refuse it.
 */
import { formatPrefix, type Prefix, prefixContains } from "@isthmus/model";
import { Slice } from "@isthmus/proto";
import { type HashedRecord, outOfBounds, SLICE_KIND } from "@isthmus/records";

export interface ExportedSlice {
  /** The given record itself when nothing is left out. */
  readonly record: HashedRecord;
  /** Number of backends that are exported. */
  readonly kept: number;
  /** Addresses of the backends that are not exported. */
  readonly leftOut: readonly Uint8Array[];
  /** Why the slice is exported empty: what is too large for a record. Undefined when it fits. */
  readonly tooLarge: string | undefined;
}

/** `record` is a SLICE. `podCidrs` undefined: not known yet, so no backend is left out. */
export function exportedSlice(record: HashedRecord, podCidrs: readonly Prefix[] | undefined): ExportedSlice {
  const slice = Slice.decode(record.value);
  const isPod = (address: Uint8Array) => podCidrs?.some((cidr) => prefixContains(cidr, address)) ?? true;
  const backends = slice.backends.filter(({ address }) => isPod(address));
  const leftOut = slice.backends.filter(({ address }) => !isPod(address)).map(({ address }) => address);
  const pods = leftOut.length === 0 ? record : SLICE_KIND.record(record.key, { ...slice, backends });
  const tooLarge = outOfBounds(pods);
  if (tooLarge === undefined) return { record: pods, kept: backends.length, leftOut, tooLarge };
  return { record: SLICE_KIND.record(record.key, { ...slice, ports: [], backends: [] }), kept: 0, leftOut, tooLarge };
}

export interface SliceExports {
  /** Computed once per record and ranges. While the ranges are unknown nothing is left out; nothing is published then. */
  of(record: HashedRecord): ExportedSlice;
  /** Undefined: not known. */
  readonly podCidrs: readonly Prefix[] | undefined;
  /** Returns false when the ranges have not changed. */
  setPodCidrs(podCidrs: readonly Prefix[]): boolean;
}

/** `initial`: this cluster's pod ranges; undefined: not known yet. Keeps no record alive. */
export function createSliceExports(initial: readonly Prefix[] | undefined): SliceExports {
  let podCidrs = initial;
  let cache = new WeakMap<HashedRecord, ExportedSlice>();
  return {
    of(record) {
      const result = cache.get(record) ?? exportedSlice(record, podCidrs);
      cache.set(record, result);
      return result;
    },
    get podCidrs() {
      return podCidrs;
    },
    setPodCidrs(next) {
      if (next.map(formatPrefix).join() === podCidrs?.map(formatPrefix).join()) return false;
      podCidrs = next;
      cache = new WeakMap();
      return true;
    },
  };
}
