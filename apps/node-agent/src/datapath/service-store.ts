/**
 * The rows of mesh_services: one per frontend, adopted by frontend.
 *
 * A tier is one 64-bit word; it is flipped only when its new table stands. While the number of tiers grows the later
 * words go first, while it shrinks the earlier ones, so that a reader between two stores always finds a tier.
 */
import { ServiceRow, TierWord } from "@isthmus/bpf";
import type { ArrayPort } from "@isthmus/reconcile";
import type { FrontendName } from "../desired/frontends.js";
import { mapFull } from "./full.js";
import { createIndexPool, type IndexPool } from "./index-pool.js";
import type { Table } from "./table-store.js";

export const TIERS = 4;

/** One word of a service with the table it names. */
export interface Tier {
  readonly word: bigint;
  /** Undefined for an empty tier, and for a word whose table is not ours to free. */
  readonly table: Table | undefined;
}

export const EMPTY_TIER: Tier = { word: 0n, table: undefined };

export interface ServiceEntry {
  readonly index: number;
  tiers: readonly Tier[];
}

export interface ServiceStore {
  readonly entries: ReadonlyMap<FrontendName, ServiceEntry>;
  /** The row of a frontend; makes one when there is none. Throws `MAP_FULL`. */
  ensure(frontend: FrontendName): ServiceEntry;
  /** Sets the words that `write` will store. */
  set(entry: ServiceEntry, tiers: readonly Tier[]): void;
  write(): void;
  /** Takes the row from its frontend; it is freed with `free` after a grace period. */
  remove(frontend: FrontendName): ServiceEntry | undefined;
  free(entry: ServiceEntry): void;
  readonly used: number;
  readonly capacity: number;
}

/** `adopted`: rows that a frontend names, with the tiers found. */
export function createServiceStore(port: ArrayPort, adopted: ReadonlyMap<FrontendName, ServiceEntry>): ServiceStore {
  const entries = new Map(adopted);
  const generations = new Map<number, number>();
  const fresh = new Set<ServiceEntry>();
  const flips = new Map<ServiceEntry, readonly bigint[]>();
  const taken = new Set([...adopted.values()].map((entry) => entry.index));
  const pool: IndexPool = createIndexPool(port.maxEntries, taken);
  const written = new Map<ServiceEntry, readonly bigint[]>(
    [...adopted.values()].map((entry) => [entry, entry.tiers.map((tier) => tier.word)]),
  );

  function generationOf(index: number): number {
    return generations.get(index) ?? ServiceRow.decode(port.read(index)).gen;
  }

  function flip(entry: ServiceEntry, words: readonly bigint[]): void {
    const before = written.get(entry) ?? [];
    const count = (list: readonly bigint[]) => list.filter((word) => word !== 0n).length;
    const order = [0, 1, 2, 3];
    if (count(words) > count(before)) order.reverse();
    for (const i of order) {
      const word = words[i] ?? 0n;
      if (word !== (before[i] ?? 0n)) port.storeWord64(entry.index, 8 * i, word);
    }
    written.set(entry, words);
  }

  return {
    entries,
    ensure(frontend) {
      const known = entries.get(frontend);
      if (known !== undefined) return known;
      const index = pool.take();
      if (index === undefined) throw mapFull(port.name, port.maxEntries);
      const entry: ServiceEntry = { index, tiers: [] };
      entries.set(frontend, entry);
      fresh.add(entry);
      return entry;
    },
    set(entry, tiers) {
      entry.tiers = tiers;
      flips.set(
        entry,
        tiers.map((tier) => tier.word),
      );
    },
    write() {
      for (const entry of fresh) {
        const generation = (generationOf(entry.index) + 1) >>> 0;
        generations.set(entry.index, generation);
        port.storeWord32(entry.index, ServiceRow.offsets.gen, generation);
      }
      fresh.clear();
      for (const [entry, words] of flips) flip(entry, words);
      flips.clear();
    },
    remove(frontend) {
      const entry = entries.get(frontend);
      entries.delete(frontend);
      return entry;
    },
    free(entry) {
      if (fresh.delete(entry)) flips.delete(entry);
      else flip(entry, []);
      written.delete(entry);
      pool.give(entry.index);
    },
    get used() {
      return pool.used;
    },
    capacity: port.maxEntries - 1,
  };
}

export function tierWord(table: Table, tries: number, cluster: number): bigint {
  return TierWord.toWord({ line: table.line, slots: table.ids.length, tries, maglev: 0, cluster });
}
