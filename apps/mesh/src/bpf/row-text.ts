/** Rows of a node's map for people and for programs (pure). */
import { FLOW_MAP, MAX_MAP_ROWS, table } from "@isthmus/model";
import { type MapColumn, MapColumnType, type MapRow, type MapRows, type MapSummary } from "@isthmus/proto";
import { counted } from "../output/units.js";

/** The parts as one table, under the columns of the first. */
export function rowsTable(parts: readonly MapRows[]): string {
  const columns = parts[0]?.columns ?? [];
  const header = columns.map(({ name }) => name.toUpperCase());
  return table(
    parts.flatMap(({ rows }) => rows.map(({ cells }) => columns.map((_, i) => cells[i] ?? ""))),
    header,
  );
}

/** `source-port` becomes `sourcePort`; a number that is not known null. */
export function rowJson(columns: readonly MapColumn[], { cells }: MapRow): object {
  return Object.fromEntries(
    columns.map(({ name, type }, i) => [
      name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase()),
      cellJson(cells[i] ?? "", type),
    ]),
  );
}

function cellJson(cell: string, type: MapColumnType): unknown {
  if (type === MapColumnType.MAP_COLUMN_TYPE_LIST) return cell === "" ? [] : cell.split(",");
  if (type !== MapColumnType.MAP_COLUMN_TYPE_NUMBER) return cell;
  return /^\d{1,20}$/.test(cell) ? BigInt(cell) : null;
}

/** Sentences about rows that are not shown, of the map with this noun and at most `limit` rows. */
export function notShownLines(
  { more, busy, invalid, ended }: MapSummary,
  { map, limit }: { readonly map: string; readonly limit: number },
): readonly string[] {
  const reasons: readonly (readonly [number, string])[] = [
    [busy, "left out: a program was writing there"],
    [invalid, "left out: the check does not fit"],
    [ended, "left out: the flow ended by silence"],
  ];
  return [
    ...(more === 0 ? [] : [`${counted(more, "row")} more, ${wayToMore(map, limit)}\n`]),
    ...reasons.flatMap(([count, why]) => (count === 0 ? [] : [`${counted(count, "row")} ${why}\n`])),
  ];
}

function wayToMore(map: string, limit: number): string {
  if (limit < MAX_MAP_ROWS) return "use --limit";
  const most = `above the ${MAX_MAP_ROWS} that one command shows`;
  return map === FLOW_MAP ? `${most}: narrow it by --from` : most;
}
