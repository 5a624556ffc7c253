/**
 * What of a slice the other clusters get: the backends inside this cluster's pod ranges (pure).
 *
 * Readers refuse a slice whole when one of its addresses is outside what its cluster may claim (records/validate), rightly;
 * so a pod on the host network, whose address is its node's, or an address written by hand must not take the pods beside it
 * along. The key stays even when no backend does: it comes and goes with the EndpointSlice, and an empty slice says the
 * same as one that Kubernetes has emptied. A slice beyond what a record may hold goes out empty, too: a reader would refuse
 * it.
 */
import { formatPrefix, type Prefix, prefixContains } from "@isthmus/model";
import { Slice } from "@isthmus/proto";
import { type HashedRecord, outOfBounds, record as recordOf } from "@isthmus/records";

export interface ExportedSlice {
  /** The very record when nothing is left out. */
  readonly record: HashedRecord;
  /** Backends that go out. */
  readonly kept: number;
  /** Addresses of those that do not. */
  readonly leftOut: readonly Uint8Array[];
  /** Why none of it is exported: it is too large for a record. Undefined: it fits. */
  readonly tooLarge: string | undefined;
}

export function exportedSlice(record: HashedRecord, podCidrs: readonly Prefix[] | undefined): ExportedSlice {
  const slice = Slice.decode(record.value);
  const isPod = (address: Uint8Array) => podCidrs?.some((cidr) => prefixContains(cidr, address)) ?? true;
  const backends = slice.backends.filter(({ address }) => isPod(address));
  const leftOut = slice.backends.filter(({ address }) => !isPod(address)).map(({ address }) => address);
  const pods = leftOut.length === 0 ? record : recordOf.slice(record.key, { ...slice, backends });
  const tooLarge = outOfBounds(pods);
  if (tooLarge === undefined) return { record: pods, kept: backends.length, leftOut, tooLarge };
  return { record: recordOf.slice(record.key, { ...slice, ports: [], backends: [] }), kept: 0, leftOut, tooLarge };
}

export interface SliceExports {
  /** Computed once per record and ranges. While the ranges are unknown nothing is left out, and nothing is published either. */
  of(record: HashedRecord): ExportedSlice;
  /** Undefined: not known. */
  readonly podCidrs: readonly Prefix[] | undefined;
  /** False when they are the same as before. */
  setPodCidrs(podCidrs: readonly Prefix[]): boolean;
}

export function createSliceExports(initial: readonly Prefix[] | undefined): SliceExports {
  let podCidrs = initial;
  let known = new WeakMap<HashedRecord, ExportedSlice>();
  return {
    of(record) {
      const found = known.get(record) ?? exportedSlice(record, podCidrs);
      known.set(record, found);
      return found;
    },
    get podCidrs() {
      return podCidrs;
    },
    setPodCidrs(next) {
      if (next.map(formatPrefix).join() === podCidrs?.map(formatPrefix).join()) return false;
      podCidrs = next;
      known = new WeakMap();
      return true;
    },
  };
}
