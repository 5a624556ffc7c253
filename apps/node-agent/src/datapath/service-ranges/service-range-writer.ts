/**
 * mesh_service_ranges: the ranges in which an address without a frontend is refused.
 *
 * Adopted ranges stay until the first `set`. `arm` adds ranges after the frontends were inserted, `disarm` takes them out
 * before a frontend is removed; each range has a status, and what failed is tried again by the next apply. A range with an address
 * that another proxy serves is left out until the address has its row: a full map may cost this mesh's Services, not those of
 * another proxy.
 */
import { formatPrefix, MeshError, type Prefix, prefixContains } from "@isthmus/model";
import { mapFull, type RangesPort, type StatusTable } from "@isthmus/reconcile";
import { addressOf, type FrontendName } from "../../desired/services/frontends.js";

export interface ServiceRangeWriter {
  set(ranges: readonly Prefix[]): void;
  addRanges(now: number): Promise<void>;
  removeRanges(now: number): Promise<void>;
  readonly used: number;
}

export const SERVICE_RANGE = "service range ";

/** Ranges by their names in `status`. */
type Ranges = ReadonlyMap<string, Prefix>;

/** `missingPassRows`: names of the missing rows of addresses that another proxy serves; `arm` and `disarm` read it. */
export async function createServiceRangeWriter(
  port: RangesPort,
  status: StatusTable,
  missingPassRows: ReadonlySet<FrontendName>,
): Promise<ServiceRangeWriter> {
  /** The ranges in the kernel. */
  let armed = named(await port.load());
  let wanted = armed;

  function desired(): Ranges {
    const addresses = [...missingPassRows].map(addressOf);
    return filter(wanted, (_, range) => !addresses.some((address) => prefixContains(range, address)));
  }

  function settle(names: Iterable<string>, now: number, error?: Error): void {
    for (const name of names) {
      if (error !== undefined) status.failed(name, error, now);
      else if (armed.has(name)) status.done(name, now);
      else status.forget(name);
    }
  }

  async function replace(next: Ranges, now: number): Promise<void> {
    const changed = [...differences(armed, next)];
    if (changed.length === 0) return;
    try {
      await port.replace([...next.values()]);
    } catch (thrown) {
      if (!(thrown instanceof MeshError)) throw thrown;
      settle(changed, now, thrown);
      return;
    }
    armed = next;
    settle(changed, now);
  }

  return {
    set(ranges) {
      wanted = named(ranges);
    },
    async addRanges(now) {
      const asked = desired();
      const names = [...asked.keys()];
      const fitting = new Set(names.slice(0, port.maxEntries));
      const failed = [...status.errors.keys()].filter((name) => name.startsWith(SERVICE_RANGE));
      settle(
        failed.filter((name) => asked.has(name) === armed.has(name)),
        now,
      ); // wanted again, or wanted no more
      await replace(
        filter(asked, (name) => fitting.has(name)),
        now,
      );
      settle(names.slice(port.maxEntries), now, mapFull(port.name, port.maxEntries));
    },
    async removeRanges(now) {
      const asked = desired();
      await replace(
        filter(armed, (name) => asked.has(name)),
        now,
      );
    },
    get used() {
      return armed.size;
    },
  };
}

function named(ranges: readonly Prefix[]): Ranges {
  return new Map(ranges.map((range) => [SERVICE_RANGE + formatPrefix(range), range]));
}

function filter(ranges: Ranges, wanted: (name: string, range: Prefix) => boolean): Ranges {
  return new Map([...ranges].filter(([name, range]) => wanted(name, range)));
}

/** Names that only one of the two has. */
function* differences(a: Ranges, b: Ranges): Generator<string> {
  for (const name of a.keys()) if (!b.has(name)) yield name;
  for (const name of b.keys()) if (!a.has(name)) yield name;
}
