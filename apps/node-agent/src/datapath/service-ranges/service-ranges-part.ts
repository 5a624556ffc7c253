/**
 * mesh_service_ranges as a part of the datapath: the ranges in which an address without a frontend is refused.
 *
 * Adopted ranges stay until the first `touch` with ranges. Ranges are added after the frontends were inserted, and taken
 * out before anything else is written; each has a status, and what failed is tried again by the next apply. A range
 * with an address that another proxy serves is left out until the address has its row: a full map may cost this mesh's
 * Services, not those of another proxy.
 */
import { formatPrefix, MeshError, type Prefix, prefixContains } from "@isthmus/model";
import { createStatusTable, mapFull, type RangesPort, type StatusTable } from "@isthmus/reconcile";
import type { Part } from "../../apply/part.js";
import { addressOf, type FrontendName } from "../../desired/services/frontends.js";

export interface ServiceRangeChanges {
  /** From the next apply on an address in these ranges without a frontend is refused. */
  readonly serviceRanges?: readonly Prefix[];
}

export interface ServiceRangesModules {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Names of the missing rows of addresses that another proxy serves. */
  readonly missingPassRows: ReadonlySet<FrontendName>;
}

/** Ranges by their names in `status`: `service range <prefix>`. */
type Ranges = ReadonlyMap<string, Prefix>;

/** Reads the list in the kernel. */
export async function createServiceRangesPart(
  port: RangesPort,
  { now, missingPassRows }: ServiceRangesModules,
): Promise<Part<ServiceRangeChanges>> {
  const status = createStatusTable();
  /** The ranges in the kernel. */
  let armed = named(await port.load());
  let wanted = armed;

  function desired(): Ranges {
    const addresses = [...missingPassRows].map(addressOf);
    return filter(wanted, (_, range) => !addresses.some((address) => prefixContains(range, address)));
  }

  async function replace(next: Ranges): Promise<void> {
    const changed = [...differences(armed, next)];
    if (changed.length === 0) return;
    try {
      await port.replace([...next.values()]);
    } catch (thrown) {
      if (!(thrown instanceof MeshError)) throw thrown;
      for (const name of changed) status.failed(name, thrown, now());
      return;
    }
    armed = next;
    settle(status, changed, armed, now());
  }

  return {
    status,
    touch({ serviceRanges }) {
      if (serviceRanges !== undefined) wanted = named(serviceRanges);
    },
    async retract() {
      const asked = desired();
      await replace(filter(armed, (name) => asked.has(name)));
    },
    async make() {
      const asked = desired();
      const names = [...asked.keys()];
      const fitting = new Set(names.slice(0, port.maxEntries));
      // Failed ranges that are in the kernel and wanted again, or neither.
      const settled = [...status.errors.keys()].filter((name) => asked.has(name) === armed.has(name));
      settle(status, settled, armed, now());
      await replace(filter(asked, (name) => fitting.has(name)));
      for (const name of names.slice(port.maxEntries)) status.failed(name, mapFull(port.name, port.maxEntries), now());
    },
    fill: () => [{ map: port.name, used: armed.size, capacity: port.maxEntries }],
  };
}

function settle(status: StatusTable, names: Iterable<string>, armed: Ranges, now: number): void {
  for (const name of names) {
    if (armed.has(name)) status.done(name, now);
    else status.forget(name);
  }
}

function named(ranges: readonly Prefix[]): Ranges {
  return new Map(ranges.map((range) => [`service range ${formatPrefix(range)}`, range]));
}

function filter(ranges: Ranges, wanted: (name: string, range: Prefix) => boolean): Ranges {
  return new Map([...ranges].filter(([name, range]) => wanted(name, range)));
}

/** Names that only one of the two has. */
function* differences(a: Ranges, b: Ranges): Generator<string> {
  for (const name of a.keys()) if (!b.has(name)) yield name;
  for (const name of b.keys()) if (!a.has(name)) yield name;
}
