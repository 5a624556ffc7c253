/**
 * mesh_service_ranges: the ranges in which an address without a frontend is refused.
 *
 * What is found at the start stays until the first `set`. `arm` inserts after the frontends are there, `disarm` deletes
 * before any of them goes; each range has a status of its own, and what failed is tried again with the next apply.
 */
import { ServiceRangeKey } from "@isthmus/bpf";
import { addressFromBytes, bytesKey, formatPrefix, keyBytes, type Prefix } from "@isthmus/model";
import {
  createDeltaTracker,
  type Failures,
  type HashPort,
  insertMissing,
  loadHash,
  removeExtra,
  type StatusTable,
} from "@isthmus/reconcile";

export interface ServiceRangeWriter {
  set(ranges: readonly Prefix[]): void;
  arm(now: number): Promise<void>;
  disarm(now: number): Promise<void>;
  readonly used: number;
}

export const SERVICE_RANGE = "service range ";
const VALUE = "\0\0\0\0";

export async function createServiceRangeWriter(port: HashPort, status: StatusTable): Promise<ServiceRangeWriter> {
  const tracker = createDeltaTracker();
  await loadHash(port, tracker);
  for (const [key, value] of tracker.actual) tracker.setDesired(key, value);

  function report(keys: readonly string[], failed: Failures, now: number): void {
    for (const key of keys) {
      const error = failed.get(key);
      const name = SERVICE_RANGE + rangeText(key);
      if (error !== undefined) status.failed(name, error, now);
      else if (tracker.desired.has(key)) status.done(name, now);
      else status.forget(name);
    }
  }

  return {
    set(ranges) {
      const wanted = new Set(
        ranges.map(({ address, length }) => bytesKey(ServiceRangeKey.encode({ length, addr: address }))),
      );
      for (const key of [...tracker.desired.keys()]) if (!wanted.has(key)) tracker.deleteDesired(key);
      for (const key of wanted) tracker.setDesired(key, VALUE);
    },
    async arm(now) {
      const keys = [...tracker.toInsert];
      if (keys.length > 0) report(keys, await insertMissing(port, tracker, keys), now);
    },
    async disarm(now) {
      const keys = [...tracker.toRemove].filter((key) => !tracker.desired.has(key));
      if (keys.length > 0) report(keys, await removeExtra(port, tracker, keys), now);
    },
    get used() {
      return tracker.actual.size;
    },
  };
}

function rangeText(key: string): string {
  const { addr, length } = ServiceRangeKey.decode(keyBytes(key));
  return formatPrefix({ address: addressFromBytes(addr), length });
}
