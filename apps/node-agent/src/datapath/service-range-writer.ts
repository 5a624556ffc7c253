/**
 * mesh_service_ranges: the ranges in which an address without a frontend is refused.
 *
 * Adopted ranges stay until the first `set`. `arm` inserts ranges after the frontends were inserted, `disarm` deletes them
 * before a frontend is removed; each range has a status, and a failed one is retried by the next apply. A range with an address
 * that another proxy serves is left out until the address has its row: a full map may cost this mesh's Services, not those of
 * another proxy.
 */
import { ServiceRangeKey } from "@isthmus/bpf";
import { addressFromBytes, bytesKey, formatPrefix, keyBytes, type Prefix, prefixContains } from "@isthmus/model";
import {
  createDeltaTracker,
  type Failures,
  type HashPort,
  insertMissing,
  loadHash,
  removeExtra,
  type StatusTable,
} from "@isthmus/reconcile";
import { addressOf, type FrontendName } from "../desired/frontends.js";

export interface ServiceRangeWriter {
  set(ranges: readonly Prefix[]): void;
  arm(now: number): Promise<void>;
  disarm(now: number): Promise<void>;
  readonly used: number;
}

export const SERVICE_RANGE = "service range ";
const VALUE = "\0\0\0\0";

/** `unpassed`: the missing rows of addresses that another proxy serves, which `arm` and `disarm` read. */
export async function createServiceRangeWriter(
  port: HashPort,
  status: StatusTable,
  unpassed: ReadonlySet<FrontendName>,
): Promise<ServiceRangeWriter> {
  const tracker = createDeltaTracker();
  await loadHash(port, tracker);
  let wanted: ReadonlySet<string> = new Set(tracker.actual.keys());

  function desire(): void {
    const addresses = [...unpassed].map(addressOf);
    const isWanted = (key: string) => wanted.has(key) && !addresses.some((at) => prefixContains(rangeOf(key), at));
    for (const key of [...tracker.desired.keys()]) if (!isWanted(key)) tracker.deleteDesired(key);
    for (const key of wanted) if (isWanted(key)) tracker.setDesired(key, VALUE);
  }

  function report(keys: readonly string[], failed: Failures, now: number): void {
    for (const key of keys) {
      const error = failed.get(key);
      const name = SERVICE_RANGE + formatPrefix(rangeOf(key));
      if (error !== undefined) status.failed(name, error, now);
      else if (tracker.desired.has(key)) status.done(name, now);
      else status.forget(name);
    }
  }

  return {
    set(ranges) {
      wanted = new Set(
        ranges.map(({ address, length }) => bytesKey(ServiceRangeKey.encode({ length, addr: address }))),
      );
    },
    async arm(now) {
      desire();
      const keys = [...tracker.toInsert];
      if (keys.length > 0) report(keys, await insertMissing(port, tracker, keys), now);
    },
    async disarm(now) {
      desire();
      const keys = [...tracker.toRemove].filter((key) => !tracker.desired.has(key));
      if (keys.length > 0) report(keys, await removeExtra(port, tracker, keys), now);
    },
    get used() {
      return tracker.actual.size;
    },
  };
}

function rangeOf(key: string): Prefix {
  const { addr, length } = ServiceRangeKey.decode(keyBytes(key));
  return { address: addressFromBytes(addr), length };
}
