/**
 * The tables of backend ids: lines taken, filled while no program can reach them, and given back after a grace period.
 */
import { Limit, TableLine } from "@isthmus/bpf";
import type { ArrayPort, TablesPort } from "@isthmus/reconcile";
import { mapFull } from "./full.js";
import { createLinePool, type Run } from "./line-pool.js";

/** A table in the kernel. `ids` are its slots, in order. */
export interface Table extends Run {
  readonly ids: readonly number[];
}

export interface TableStore {
  /** Reads a table; undefined when it does not lie inside one segment. */
  read(line: number, slots: number): Table | undefined;
  /** Takes lines for a table; written by `write`. Adds a segment when there is no room. Rejects with `MAP_FULL`. */
  take(ids: readonly number[]): Promise<Table> | Table;
  write(): void;
  give(table: Table): void;
  readonly used: number;
  readonly capacity: number;
}

/** `adopted`: runs of the tables found in use, asked for once, at the first need. */
export function createTableStore(port: TablesPort, adopted: () => readonly Run[]): TableStore {
  let lines: ReturnType<typeof createLinePool> | undefined;
  const pool = () => (lines ??= createLinePool(port.linesPerSegment, port.segments.length, adopted()));
  const fresh = new Set<Table>();
  const name = "mesh_tables_v1";
  const lineBytes = new Uint8Array(TableLine.size);
  const line = new DataView(lineBytes.buffer);

  function segmentOf(line: number): ArrayPort | undefined {
    return port.segments[Math.floor(line / port.linesPerSegment)];
  }

  function linesOf(slots: number): number {
    return Math.ceil(slots / Limit.LineSlots);
  }

  function makeTable(line: number, ids: readonly number[]): Table {
    const table = { line, lines: linesOf(ids.length), ids };
    fresh.add(table);
    return table;
  }

  async function grow(ids: readonly number[]): Promise<Table> {
    const needed = linesOf(ids.length);
    if (needed > port.linesPerSegment) throw mapFull(name, port.linesPerSegment);
    await port.addSegment();
    pool().grow();
    const line = pool().take(needed);
    if (line === undefined) throw mapFull(name, port.maxSegments * port.linesPerSegment);
    return makeTable(line, ids);
  }

  return {
    read(line, slots) {
      const segment = segmentOf(line);
      const first = line % port.linesPerSegment;
      const count = linesOf(slots);
      if (segment === undefined || first + count > port.linesPerSegment) return undefined;
      const bytes = segment.read(first, count);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      return { line, lines: count, ids: Array.from({ length: slots }, (_, i) => view.getUint32(4 * i, true)) };
    },
    take(ids) {
      const line = pool().take(linesOf(ids.length));
      return line === undefined ? grow(ids) : makeTable(line, ids);
    },
    write() {
      for (const table of fresh) {
        const segment = segmentOf(table.line);
        for (let i = 0; i < table.lines; i++) {
          const first = i * Limit.LineSlots;
          for (let slot = 0; slot < Limit.LineSlots; slot++)
            line.setUint32(4 * slot, table.ids[first + slot] ?? 0, true);
          segment?.writeBody((table.line % port.linesPerSegment) + i, lineBytes);
        }
      }
      fresh.clear();
    },
    give(table) {
      fresh.delete(table);
      pool().give(table);
    },
    get used() {
      return pool().used;
    },
    capacity: port.linesPerSegment * port.maxSegments,
  };
}
