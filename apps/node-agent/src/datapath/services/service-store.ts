/**
 * The rows of mesh_services: one per frontend, adopted by frontend.
 *
 * A tier is one 64-bit word; it is replaced only after its new table is written. If the number of tiers grows, the
 * later words are stored first, otherwise the earlier ones, so that a reader between two stores always finds a tier.
 */
import { Limit, ServiceRow, TierWord } from "@isthmus/bpf";
import type { MergedBackend } from "@isthmus/clustermesh";
import type { ServiceName } from "@isthmus/model";
import { type ArrayPort, mapFull } from "@isthmus/reconcile";
import { inSlices, type Slices } from "@isthmus/runtime";
import type { FrontendName } from "../../desired/services/frontends.js";
import { createIndexPool } from "../rows/index-pool.js";
import { createWords32, createWords64 } from "../rows/word-batch.js";
import { addSettings, type ServiceSettings } from "./service-settings.js";
import type { Table } from "./table-store.js";

/** One word of a service with the table it names. */
export interface Tier {
  /** As in the map; 0 = an empty tier. */
  readonly word: bigint;
  /** Undefined for an empty tier, and for a word whose table was not adopted and must not be freed. */
  readonly table: Table | undefined;
  /** The backend that each slot was planned from; absent where it is unknown or the slots are in another order. */
  readonly slots?: readonly MergedBackend[];
}

export const EMPTY_TIER: Tier = { word: 0n, table: undefined };

export interface ServiceEntry {
  /** In mesh_services, from 1. */
  readonly index: number;
  /** The Service that it was planned for last; undefined in a row that was adopted, until it is planned. */
  service: ServiceName | undefined;
  /** As planned last, and as the map has them after `write`; none in a row that was just created. */
  tiers: readonly Tier[];
  /** The words in the map. */
  stored: readonly bigint[];
  /** Those in the map; undefined in a row that was just created: an earlier Service may have left others. */
  settings: ServiceSettings | undefined;
}

const NO_WORDS: readonly bigint[] = Array.from({ length: Limit.Tiers }, () => 0n);

export interface ServiceStore {
  /** Rows that have a frontend; one that waits to be freed has none. */
  readonly entries: ReadonlyMap<FrontendName, ServiceEntry>;
  /** The row of a frontend; creates one when there is none. Throws `MAP_FULL`. */
  ensure(frontend: FrontendName): ServiceEntry;
  /** Sets the words that `write` will store; a row that was another Service's gets a new generation. */
  set(entry: ServiceEntry, service: ServiceName, tiers: readonly Tier[], settings: ServiceSettings): void;
  /** The Service that has this row with this generation, as planned last. */
  serviceOf(index: number, generation: number): ServiceName | undefined;
  /** Stores the generations that are new, then the settings that changed, then the words. */
  write(): void;
  /** Takes the row from its frontend; it is freed with `free` after a grace period. */
  remove(frontend: FrontendName): ServiceEntry | undefined;
  /** Empties a row that was written, and makes its index free; once for each row. */
  free(entry: ServiceEntry): void;
  /** Rows that are taken, those that wait to be freed included. */
  readonly used: number;
  /** Rows of the map without index 0. */
  readonly capacity: number;
}

/** What was read at the start: rows that a frontend names, and the generation of each row. */
export interface AdoptedServices {
  /** The store keeps these entries and changes them. */
  readonly services: ReadonlyMap<FrontendName, ServiceEntry>;
  /** By index of the row; absent = 0. Copied. */
  readonly generations: ReadonlyMap<number, number>;
}

const ROWS_PER_SLICE = 256;

/** Adopts the rows and writes nothing. */
export function* createServiceStore(port: ArrayPort, adopted: AdoptedServices): Slices<ServiceStore> {
  const entries = new Map<FrontendName, ServiceEntry>();
  const byIndex = new Map<number, ServiceEntry>();
  const generations = new Map<number, number>();
  const taken = new Set<number>();
  yield* inSlices(adopted.services, ROWS_PER_SLICE, ([name, entry]) => {
    entries.set(name, entry);
    byIndex.set(entry.index, entry);
    taken.add(entry.index);
  });
  yield* inSlices(adopted.generations, ROWS_PER_SLICE, ([row, generation]) => void generations.set(row, generation));
  const pool = yield* createIndexPool(port.maxEntries, taken);
  const fresh = new Set<ServiceEntry>();
  /** Rows whose generation is to be stored. */
  const renewed = new Set<ServiceEntry>();
  const flips = new Map<ServiceEntry, ServiceSettings>();
  const rowWords = createWords32(port);
  const tierWords = createWords64(port);

  /** Puts the words that change into the batch, in the order in which they must be stored. */
  function flip(entry: ServiceEntry, words: readonly bigint[]): void {
    const before = entry.stored;
    const growing = count(words) > count(before);
    for (let step = 0; step < Limit.Tiers; step++) {
      const i = growing ? Limit.Tiers - 1 - step : step;
      const word = words[i] ?? 0n;
      if (word !== before[i]) tierWords.add(entry.index, tierOffset(i), word);
    }
    entry.stored = words;
  }

  /** What programs counted of the row so far is of another Service. */
  function renew(entry: ServiceEntry): void {
    generations.set(entry.index, ((generations.get(entry.index) ?? 0) + 1) >>> 0);
    renewed.add(entry);
  }

  return {
    entries,
    ensure(frontend) {
      const known = entries.get(frontend);
      if (known !== undefined) return known;
      const index = pool.take();
      if (index === undefined) throw mapFull(port.name, port.maxEntries);
      const entry: ServiceEntry = { index, service: undefined, tiers: [], stored: NO_WORDS, settings: undefined };
      entries.set(frontend, entry);
      byIndex.set(index, entry);
      fresh.add(entry);
      renew(entry);
      return entry;
    },
    set(entry, service, tiers, settings) {
      if (entry.service !== undefined && entry.service !== service) renew(entry);
      entry.service = service;
      entry.tiers = tiers;
      flips.set(entry, settings);
    },
    serviceOf: (index, generation) => (generations.get(index) === generation ? byIndex.get(index)?.service : undefined),
    write() {
      for (const { index } of renewed) rowWords.add(index, ServiceRow.offsets.gen, generations.get(index) ?? 0);
      for (const [entry, settings] of flips) {
        addSettings(rowWords, entry.index, settings, entry.settings);
        entry.settings = settings;
      }
      rowWords.store();
      fresh.clear();
      renewed.clear();
      for (const entry of flips.keys()) flip(entry, wordsOf(entry.tiers));
      tierWords.store();
      flips.clear();
    },
    remove(frontend) {
      const entry = entries.get(frontend);
      entries.delete(frontend);
      if (entry !== undefined) byIndex.delete(entry.index);
      return entry;
    },
    free(entry) {
      renewed.delete(entry);
      if (fresh.delete(entry)) flips.delete(entry);
      else {
        flip(entry, NO_WORDS);
        tierWords.store();
      }
      pool.give(entry.index);
    },
    get used() {
      return pool.used;
    },
    capacity: port.maxEntries - 1,
  };
}

/** Byte offset of a tier's word in a row. */
export function tierOffset(tier: number): number {
  return ServiceRow.offsets.tier + tier * TierWord.size;
}

/** Empties service rows that no frontend names, left by an agent that died before it freed them. */
export function clearOrphans(port: ArrayPort, indexes: readonly number[]): void {
  for (const index of indexes) {
    for (let i = 0; i < Limit.Tiers; i++) port.storeWord64(index, tierOffset(i), 0n);
  }
}

/** In the order of the tiers; 0 for an empty one. */
export function wordsOf(tiers: readonly Tier[]): readonly bigint[] {
  return tiers.map((tier) => tier.word);
}

function count(words: readonly bigint[]): number {
  let tiers = 0;
  for (const word of words) if (word !== 0n) tiers++;
  return tiers;
}
