/**
 * Reads what the kernel holds at the start: frontends, their tiers with their tables, and service rows of no frontend.
 *
 * It writes nothing. A service row named by two frontends belongs to the first; a table that overlaps another, or lies
 * outside the segments, is not adopted: its tier is read, replaced when desired, and never freed.
 */
import { type DatapathPort, FrontendKey, FrontendRow, Limit, ServiceRow, TierWord } from "@isthmus/bpf";
import { keyBytes } from "@isthmus/model";
import { readChunks } from "@isthmus/reconcile";
import { inSlices, inTurns, type Slices } from "@isthmus/runtime";
import { type FrontendName, frontendValue } from "../../desired/services/frontends.js";
import { EMPTY_TIER, type ServiceEntry, type Tier, tierOffset, wordsOf } from "./service-store.js";
import type { Table, TableStore } from "./table-store.js";

export interface Loaded {
  /** Every row of mesh_frontends, value as latin1. */
  readonly frontends: ReadonlyMap<FrontendName, string>;
  /** Rows of mesh_services with their tiers, by the frontend that names them; each row once. */
  readonly services: ReadonlyMap<FrontendName, ServiceEntry>;
  /** Tables in use. */
  readonly tables: readonly Table[];
  /** Service rows that are not empty and that no frontend names. */
  readonly orphans: readonly number[];
  /** `gen` of the service rows that ever had one. */
  readonly generations: ReadonlyMap<number, number>;
}

/** Reads in slices, and `tables` for the ids of each tier. Rejects with the error of a map. */
export async function loadKernel(port: DatapathPort, tables: Pick<TableStore, "read">): Promise<Loaded> {
  return inTurns(readKernel(port, await port.frontends.load(), tables));
}

function* readKernel(
  port: DatapathPort,
  frontendRows: ReadonlyMap<FrontendName, Uint8Array>,
  tables: Pick<TableStore, "read">,
): Slices<Loaded> {
  const frontends = new Map<FrontendName, string>();
  const services = new Map<FrontendName, ServiceEntry>();
  const owned: Table[] = [];
  const lines = new Set<number>();
  const namedRows = new Set<number>();

  function adoptTable(table: Table | undefined): Table | undefined {
    if (table === undefined) return undefined;
    const span = Array.from({ length: table.lines }, (_, i) => table.line + i);
    if (span.some((line) => lines.has(line))) return undefined;
    for (const line of span) lines.add(line);
    owned.push(table);
    return table;
  }

  function readTier(word: bigint): Tier {
    if (word === 0n) return EMPTY_TIER;
    const { line, slots } = TierWord.fromWord(word);
    return { word, table: slots === 0 ? undefined : adoptTable(tables.read(line, slots)) };
  }

  function readFrontend(key: FrontendName, bytes: Uint8Array): void {
    frontends.set(key, Buffer.from(bytes).toString("latin1"));
    const { service } = FrontendRow.decode(bytes);
    const usable = service > 0 && service < port.services.maxEntries && !namedRows.has(service);
    if (!usable || frontends.get(key) !== frontendValue(key, service) || keyBytes(key).length !== FrontendKey.size)
      return;
    namedRows.add(service);
    const { tier, flags, rescueAfterMs } = ServiceRow.decode(port.services.read(service));
    const tiers = Array.from({ length: Limit.Tiers }, (_, i) => readTier(tier[i] ?? 0n));
    const settings = { flags, rescueAfterMs };
    services.set(key, { index: service, service: undefined, tiers, stored: wordsOf(tiers), settings });
  }
  yield* inSlices(frontendRows, FRONTENDS_PER_SLICE, ([key, bytes]) => readFrontend(key, bytes));
  return { frontends, services, tables: owned, ...(yield* scanServices(port, namedRows)) };
}

const FRONTENDS_PER_SLICE = 64;
const ROWS_PER_SLICE = 1024;

function* scanServices(
  port: DatapathPort,
  namedRows: ReadonlySet<number>,
): Slices<Pick<Loaded, "orphans" | "generations">> {
  const orphans: number[] = [];
  const generations = new Map<number, number>();
  for (const { first, count, view } of readChunks(port.services, ROWS_PER_SLICE)) {
    for (let i = 0; i < count; i++) {
      const at = i * ServiceRow.size;
      const generation = view.getUint32(at + ServiceRow.offsets.gen, true);
      if (generation !== 0) generations.set(first + i, generation);
      let empty = true;
      for (let tier = 0; tier < Limit.Tiers; tier++) empty &&= view.getBigUint64(at + tierOffset(tier), true) === 0n;
      if (!empty && !namedRows.has(first + i)) orphans.push(first + i);
    }
    yield;
  }
  return { orphans, generations };
}
