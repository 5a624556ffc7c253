/**
 * What of a slice the other clusters get: the backends inside this cluster's pod ranges (pure).
 *
 * Readers refuse a slice whole when one of its addresses is outside what its cluster may claim (records/validate), rightly;
 * so a pod on the host network, whose address is its node's, or an address written by hand must not take the pods beside it
 * along. The key stays even when no backend does: it comes and goes with the EndpointSlice, and an empty slice says the
 * same as one that Kubernetes has emptied.
 */
import { formatPrefix, type Prefix, prefixContains } from "@isthmus/model";
import { Slice } from "@isthmus/proto";
import { type HashedRecord, record as recordOf } from "@isthmus/records";

export interface ExportedSlice {
  /** The very record when nothing is left out. */
  readonly record: HashedRecord;
  /** Backends that go out. */
  readonly kept: number;
  /** Addresses of those that do not. */
  readonly leftOut: readonly Uint8Array[];
}

export function exportedSlice(record: HashedRecord, podCidrs: readonly Prefix[]): ExportedSlice {
  const slice = Slice.decode(record.value);
  const isPod = (address: Uint8Array) => podCidrs.some((cidr) => prefixContains(cidr, address));
  const backends = slice.backends.filter(({ address }) => isPod(address));
  const leftOut = slice.backends.filter(({ address }) => !isPod(address)).map(({ address }) => address);
  if (leftOut.length === 0) return { record, kept: backends.length, leftOut };
  return { record: recordOf.slice(record.key, { ...slice, backends }), kept: backends.length, leftOut };
}

export interface SliceExports {
  /** Worked out once per record and ranges. */
  of(record: HashedRecord): ExportedSlice;
  readonly podCidrs: readonly Prefix[];
  /** False when they are the same as before. */
  setPodCidrs(podCidrs: readonly Prefix[]): boolean;
}

export function createSliceExports(initial: readonly Prefix[]): SliceExports {
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
      if (next.map(formatPrefix).join() === podCidrs.map(formatPrefix).join()) return false;
      podCidrs = next;
      known = new WeakMap();
      return true;
    },
  };
}
