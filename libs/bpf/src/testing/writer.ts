/**
 * Writes services directly into maps, in the order that the commit rule requires. For tests and benchmarks; the agent
 * has its own writer with allocation and adoption.
 */
import { bytesKey, parseAddress } from "@isthmus/model";
import type { ArrayPort, BatchResult, HashPort } from "@isthmus/reconcile";
import { backendId } from "../backend-id.js";
import { keyCheck } from "../check.js";
import type { TablesPort } from "../datapath-port.js";
import {
  BackendRow,
  FrontendKey,
  FrontendRow,
  Limit,
  Proto,
  Rank,
  ServiceRow,
  TableLine,
  TierWord,
} from "../gen/index.js";

export interface TestBackend {
  /** 1 and up. */
  readonly index: number;
  readonly generation?: number;
  /** `10.0.0.1` by default. */
  readonly address?: string;
  readonly port?: number;
  readonly proto?: Proto;
  readonly state?: Rank;
  readonly node?: number;
  readonly cluster?: number;
}

export interface TestTier {
  /** Backend ids, one per slot. */
  readonly ids: readonly number[];
  readonly tries?: number;
  /** 0 = backends of several clusters. */
  readonly cluster?: number;
}

export interface WriterPorts {
  readonly services: ArrayPort;
  readonly backends: ArrayPort;
  readonly tables: TablesPort;
}

export interface Writer {
  /** Writes the body, then the id by one store; returns the id. */
  backend(backend: TestBackend): number;
  /** Writes a new table with the ids; returns its first line. */
  table(ids: readonly number[]): number;
  /** Writes new tables, then the tier words. */
  service(index: number, tiers: readonly TestTier[]): void;
}

export function createWriter({ services, backends, tables }: WriterPorts): Writer {
  let nextLine = 0;

  function backend(given: TestBackend): number {
    const id = backendId(given.generation ?? 1, given.index);
    const row = BackendRow.encode({
      id: 0,
      port: given.port ?? 8080,
      proto: given.proto ?? Proto.Tcp,
      state: given.state ?? Rank.Up,
      node: given.node ?? 0,
      cluster: given.cluster ?? 1,
      zone: 0,
      flags: 0,
      addr: parseAddress(given.address ?? "10.0.0.1"),
    });
    backends.storeWord32(given.index, BackendRow.offsets.id, 0);
    backends.writeBody(given.index, row);
    backends.storeWord32(given.index, BackendRow.offsets.id, id);
    return id;
  }

  function table(ids: readonly number[]): number {
    const lines = Math.ceil(ids.length / Limit.LineSlots);
    const left = Limit.SegmentLines - (nextLine % Limit.SegmentLines);
    if (lines > left) nextLine += left;
    const first = nextLine;
    nextLine += lines;
    const segment = tables.segments[Math.floor(first / Limit.SegmentLines)];
    if (segment === undefined) throw new Error(`Cannot write line ${first}: the tables have no such segment`);
    for (let i = 0; i < lines; i++) {
      const id = ids.slice(i * Limit.LineSlots, (i + 1) * Limit.LineSlots);
      segment.writeBody((first + i) % Limit.SegmentLines, TableLine.encode({ id }));
    }
    return first;
  }

  function service(index: number, tiers: readonly TestTier[]): void {
    for (let i = 0; i < Limit.Tiers; i++) {
      const tier = tiers[i];
      const word = tier === undefined ? 0n : tierWord(tier, table(tier.ids));
      services.storeWord64(index, ServiceRow.offsets.tier + 8 * i, word);
    }
  }

  return { backend, table, service };
}

export function tierWord({ ids, tries = 0, cluster = 0 }: TestTier, line: number): bigint {
  return ids.length === 0 ? 0n : TierWord.toWord({ line, slots: ids.length, tries, maglev: 0, cluster });
}

/** Key and value of a frontend, as the port takes them. */
export function frontend(
  address: string,
  port: number,
  proto: Proto,
  service: number,
  flags = 0,
): [string, Uint8Array] {
  const key = FrontendKey.encode({ addr: parseAddress(address), port, proto, scope: 0 });
  return [bytesKey(key), FrontendRow.encode({ service, flags, check: keyCheck(key) })];
}

export async function insertFrontends(port: HashPort, rows: readonly [string, Uint8Array][]): Promise<BatchResult> {
  const applied = await port.insert(new Map(rows));
  for (const error of applied.failed.values()) throw error;
  return applied;
}
