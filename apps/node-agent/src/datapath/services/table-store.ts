/**
 * The tables of backend ids. Lines are taken, filled while no program can reach them, and given back after a grace
 * period. Slots of a table that programs use change one by one (slot-edits.ts).
 */
import { Limit, MAP_NAMES, type TablesPort } from "@isthmus/bpf";
import { type ArrayPort, mapFull } from "@isthmus/reconcile";
import { createWords32, type WordBatch } from "../rows/word-batch.js";
import { createLinePool, type Run } from "./line-pool.js";

/** A table in the kernel. `ids` are its slots, in order; its lines may have room for more. */
export interface Table extends Run {
  /** The backend id in each slot. */
  readonly ids: readonly number[];
}

/** Number of lines that this number of slots fills. */
export function linesOf(slots: number): number {
  return Math.ceil(slots / Limit.LineSlots);
}

export interface TableStore {
  /** Reads a table; undefined when it does not lie inside one segment. */
  read(line: number, slots: number): Table | undefined;
  /** Takes lines for a table, more than it needs if asked to; written by `write`. Undefined when no segment has room. */
  take(ids: readonly number[], lines?: number): Table | undefined;
  /** Queues slots of a table; `write` stores each as one word. */
  edit(table: Run, stores: ReadonlyMap<number, number>): void;
  /** Adds a segment, for a table with this number of slots that found no room. Rejects with `MAP_FULL`. */
  grow(slots: number): Promise<void>;
  /** Writes tables that were taken, then slots that were edited. */
  write(): void;
  /** Gives the lines back, which no program can reach any more; a table that waits for `write` is not written. */
  give(table: Table): void;
  /** Lines that are taken, in all segments. */
  readonly used: number;
  /** Lines of all segments that there can be, also of those that are not added yet. */
  readonly capacity: number;
}

/** `adopted`: returns the runs of the adopted tables; called once, when a line is first needed. */
export function createTableStore(port: TablesPort, adopted: () => readonly Run[]): TableStore {
  let lines: ReturnType<typeof createLinePool> | undefined;
  const pool = () => (lines ??= createLinePool(port.linesPerSegment, port.segments.length, adopted()));
  const fresh = new Set<Table>();
  const edits = new Map<ArrayPort, WordBatch<number>>();

  function segmentOf(line: number): ArrayPort | undefined {
    return port.segments[Math.floor(line / port.linesPerSegment)];
  }

  /** The lines in use of these tables, all in one segment, by one call. */
  function writeLines(segment: ArrayPort, tables: readonly Table[]): void {
    const count = tables.reduce((sum, { ids }) => sum + linesOf(ids.length), 0);
    const indexes = new Uint32Array(count);
    const words = new Uint32Array(count * Limit.LineSlots);
    let next = 0;
    for (const { line, ids } of tables) {
      words.set(ids, next * Limit.LineSlots);
      for (let i = 0; i < linesOf(ids.length); i++) indexes[next++] = (line % port.linesPerSegment) + i;
    }
    segment.writeBodies(indexes, new Uint8Array(words.buffer));
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
    take(ids, lines = linesOf(ids.length)) {
      const line = pool().take(lines);
      if (line === undefined) return undefined;
      const table = { line, lines, ids };
      fresh.add(table);
      return table;
    },
    edit(table, stores) {
      const segment = segmentOf(table.line);
      if (segment === undefined) return;
      const words = edits.get(segment) ?? createWords32(segment);
      edits.set(segment, words);
      for (const [slot, id] of stores) {
        const line = (table.line % port.linesPerSegment) + Math.floor(slot / Limit.LineSlots);
        words.add(line, 4 * (slot % Limit.LineSlots), id);
      }
    },
    async grow(slots) {
      if (linesOf(slots) > port.linesPerSegment) throw mapFull(MAP_NAMES.tables, port.linesPerSegment);
      await port.addSegment();
      pool().grow();
    },
    write() {
      const bySegment = new Map<ArrayPort, Table[]>();
      for (const table of fresh) {
        const segment = segmentOf(table.line);
        const known = segment && bySegment.get(segment);
        if (known !== undefined) known.push(table);
        else if (segment !== undefined) bySegment.set(segment, [table]);
      }
      for (const [segment, tables] of bySegment) writeLines(segment, tables);
      fresh.clear();
      for (const words of edits.values()) words.store();
      edits.clear();
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
