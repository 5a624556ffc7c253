/**
 * The table of allowed imports in docs/architecture.md, between the comments `layers:begin` and `layers:end`:
 *
 *   | `libs/kube` | `libs/model`, `libs/observe` |
 */
export type LayerTable = ReadonlyMap<string, readonly string[]>;

const BEGIN = "<!-- layers:begin -->";
const END = "<!-- layers:end -->";

/** Throws when there is no table. */
export function parseTable(page: string): LayerTable {
  const rows = new Map<string, readonly string[]>();
  for (const line of tableText(page).split("\n")) {
    const [, folder, imports] = /^\|\s*`([^`]+)`\s*\|(.*)\|\s*$/.exec(line) ?? [];
    if (folder === undefined || imports === undefined) continue;
    rows.set(
      folder,
      [...imports.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? ""),
    );
  }
  return rows;
}

/** Returns the page with its table replaced. */
export function writeTable(page: string, table: LayerTable): string {
  const lines = ["| Package | May import |", "|---|---|"];
  for (const [folder, imports] of table) {
    lines.push(`| \`${folder}\` | ${imports.length === 0 ? "nothing" : imports.map((i) => `\`${i}\``).join(", ")} |`);
  }
  const [begin, end] = tableAt(page);
  return `${page.slice(0, begin)}\n${lines.join("\n")}\n${page.slice(end)}`;
}

function tableText(page: string): string {
  return page.slice(...tableAt(page));
}

function tableAt(page: string): [number, number] {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin === -1 || end < begin) throw new Error(`Cannot find the table between "${BEGIN}" and "${END}"`);
  return [begin + BEGIN.length, end];
}
