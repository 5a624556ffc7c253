/**
 * The rows of a map in parts, for the commands that show a node.
 *
 * ```
 *   map ─► row or undefined, a little work each ─► parts of at most 200 rows ─► … ─► the last part, with a summary
 * ```
 * A row is decoded when its part is taken. Work is done in slices, so a map of any size does not hold up the event loop.
 */
import { MapColumnType, type MapRows, type MapSummary } from "@isthmus/proto";
import { inTurns, type Slices } from "@isthmus/runtime";

/** What a column shows. Numbers are decimal; of a list the elements have no commas. */
export type Cell = string | number | bigint | readonly string[];

/** Makes the cells of a row, one for each column. */
export type Row = () => readonly Cell[];

/** Each row, and undefined where nothing was found after some work. */
export type RowSteps = Generator<Row | undefined, void>;

export interface MapTable {
  /** Name and type of each column. */
  readonly columns: readonly (readonly [name: string, type: "text" | "number" | "list"])[];
  /**
   * Starts at the beginning. `limit`: no more rows are needed; others are only counted, or added to `leftOut.more`. The rest of
   * `leftOut` counts what is no row.
   */
  steps(limit: number, leftOut: MapSummary): RowSteps;
}

/** Rows of one part: 30 KB, and 90 KB of the map with the longest rows. */
export const PART_ROWS = 200;

export interface MapParts {
  /** The next part; the last one has a summary. Rejects with the signal's reason when it aborts. */
  next(signal: AbortSignal): Promise<MapRows>;
}

const TYPES = {
  text: MapColumnType.MAP_COLUMN_TYPE_TEXT,
  number: MapColumnType.MAP_COLUMN_TYPE_NUMBER,
  list: MapColumnType.MAP_COLUMN_TYPE_LIST,
} as const;

/** Reads nothing before the first part. */
export function readParts(table: MapTable, limit: number): MapParts {
  const columns = table.columns.map(([name, type]) => ({ name, type: TYPES[type] }));
  const summary: MapSummary = { more: 0, busy: 0, invalid: 0, ended: 0 };
  const steps = table.steps(limit, summary);
  let taken = 0;

  function* fill(signal: AbortSignal): Slices<MapRows> {
    const rows: { cells: string[] }[] = [];
    while (rows.length < PART_ROWS) {
      signal.throwIfAborted();
      const step = steps.next();
      if (step.done === true) return { columns, rows, summary };
      if (step.value !== undefined && taken < limit) {
        taken++;
        rows.push({ cells: step.value().map(text) });
      } else if (step.value !== undefined) summary.more++;
      yield;
    }
    return { columns, rows, summary: undefined };
  }

  return { next: (signal) => inTurns(fill(signal)) };
}

function text(cell: Cell): string {
  return typeof cell === "object" ? cell.join(",") : String(cell);
}
