/**
 * Writes to mesh_backends: new rows, words that changed in rows that programs may read, and ids of rows that are freed.
 *
 * A row is written body first, then the id by one store; all bodies before the first id.
 */
import { BackendRow } from "@isthmus/bpf";
import type { ArrayPort } from "@isthmus/reconcile";
import type { Slices } from "@isthmus/runtime";
import { createWords32 } from "../rows/word-batch.js";
import { type BackendRows, Word } from "./backend-rows.js";
import type { BackendUses } from "./backend-uses.js";

/** Offset in a row of what is written before the id. */
export const BODY = BackendRow.offsets.port;

export interface BackendWrites {
  /** Sets a word of a row; `write` writes it if it changed in a row that is in the map. */
  set(row: number, word: number, value: number): void;
  /** The row is freed: its changes are not written any more. */
  forget(row: number): void;
  /** Writes new rows, then words that changed, some in each slice. */
  write(): Slices<void>;
  /** Sets the ids of these rows to 0 in the map: from then on no program finds them. */
  clearIds(indexes: readonly number[]): void;
}

const ROWS_PER_SLICE = 256;

/** `rows` has the words to write; `uses` knows which rows are in the map. */
export function createBackendWrites(port: ArrayPort, rows: BackendRows, uses: BackendUses): BackendWrites {
  const words = createWords32(port);
  const changed = new Set<number>();

  function writeNew(): void {
    const indexes = uses.takeNew();
    for (const row of indexes) words.add(row, 4 * Word.id, rows.get(row, Word.id));
    if (indexes.length > 0) port.writeBodies(new Uint32Array(indexes), rows.bodies(indexes), BODY);
    words.store();
  }

  return {
    set(row, word, value) {
      if (rows.get(row, word) === value) return;
      rows.set(row, word, value);
      if (uses.isLive(row)) changed.add(row);
    },
    forget: (row) => void changed.delete(row),
    *write() {
      writeNew();
      let count = 0;
      // A row that is freed between two slices is not written: its body keeps its generation.
      for (const row of changed) {
        changed.delete(row);
        words.add(row, 4 * Word.node, rows.get(row, Word.node));
        words.add(row, 4 * Word.cluster, rows.get(row, Word.cluster));
        if (++count % ROWS_PER_SLICE !== 0) continue;
        words.store();
        yield;
      }
      words.store();
    },
    clearIds(indexes) {
      for (const row of indexes) words.add(row, 4 * Word.id, 0);
      words.store();
    },
  };
}
