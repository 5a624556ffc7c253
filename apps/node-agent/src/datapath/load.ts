/**
 * What the kernel holds at the start: frontends, their tiers with their tables, and rows that nobody names.
 *
 * Reading is all it does. A service row named by two frontends belongs to the first; a table that overlaps another, or
 * lies outside the segments, is not adopted: its tier is read, replaced when desired, and never freed.
 */
import { FrontendRow, ServiceRow, TierWord } from "@isthmus/bpf";
import { keyBytes } from "@isthmus/model";
import type { DatapathPort } from "@isthmus/reconcile";
import { type FrontendName, frontendValue } from "../desired/frontends.js";
import { EMPTY_TIER, type ServiceEntry, TIERS, type Tier } from "./service-store.js";
import type { Table, TableStore } from "./table-store.js";

export interface Loaded {
  /** Every row of mesh_frontends as found, value as latin1. */
  readonly frontends: ReadonlyMap<FrontendName, string>;
  readonly services: ReadonlyMap<FrontendName, ServiceEntry>;
  /** Tables in use. */
  readonly tables: readonly Table[];
  /** Service rows that are not empty and that no frontend names. */
  readonly orphans: readonly number[];
}

export async function loadKernel(port: DatapathPort, tables: Pick<TableStore, "read">): Promise<Loaded> {
  const frontends = new Map<FrontendName, string>();
  const services = new Map<FrontendName, ServiceEntry>();
  const owned: Table[] = [];
  const lines = new Set<number>();
  const seen = new Set<number>();

  function own(table: Table | undefined): Table | undefined {
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
    return { word, table: slots === 0 ? undefined : own(tables.read(line, slots)) };
  }

  for (const [key, bytes] of await port.frontends.load()) {
    frontends.set(key, Buffer.from(bytes).toString("latin1"));
    const { service } = FrontendRow.decode(bytes);
    const usable = service > 0 && service < port.services.maxEntries && !seen.has(service);
    if (!usable || frontends.get(key) !== frontendValue(key, service) || keyBytes(key).length !== 20) continue;
    seen.add(service);
    const { tier } = ServiceRow.decode(port.services.read(service));
    services.set(key, { index: service, tiers: Array.from({ length: TIERS }, (_, i) => readTier(tier[i] ?? 0n)) });
  }
  return { frontends, services, tables: owned, orphans: findOrphans(port, seen) };
}

function findOrphans(port: DatapathPort, seen: ReadonlySet<number>): readonly number[] {
  const CHUNK = 4096;
  const orphans: number[] = [];
  for (let first = 0; first < port.services.maxEntries; first += CHUNK) {
    const count = Math.min(CHUNK, port.services.maxEntries - first);
    const bytes = port.services.read(first, count);
    const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; i < count; i++) {
      const at = i * ServiceRow.size;
      let any = false;
      for (let tier = 0; tier < TIERS; tier++) any ||= words.getBigUint64(at + 8 * tier, true) !== 0n;
      if (any && !seen.has(first + i)) orphans.push(first + i);
    }
  }
  return orphans;
}
