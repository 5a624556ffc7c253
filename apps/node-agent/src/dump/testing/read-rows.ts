/** For tests: all rows of a query as objects of texts. */
import type { MapQuery, MapSummary } from "@isthmus/proto";
import type { MapQueries } from "../map-queries.js";

const SIGNAL = new AbortController().signal;

/** Throws the problem when there are no rows. */
export async function readRows(
  maps: MapQueries,
  query: Partial<MapQuery>,
): Promise<{ readonly rows: readonly Readonly<Record<string, string>>[]; readonly summary: MapSummary | undefined }> {
  const parts = maps.open({ map: "", limit: 1000, sources: [], ...query });
  if ("problem" in parts) throw new Error(parts.problem);
  const rows: Record<string, string>[] = [];
  for (;;) {
    const part = await parts.next(SIGNAL);
    const names = part.columns.map(({ name }) => name);
    for (const { cells } of part.rows) rows.push(Object.fromEntries(cells.map((cell, i) => [names[i] ?? "?", cell])));
    if (part.summary !== undefined) return { rows, summary: part.summary };
  }
}
