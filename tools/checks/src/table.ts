/**
 * The tables of allowed imports in docs/architecture.md: of packages, between the comments `layers:begin` and `layers:end`, and
 * of folders inside apps, between `folders:begin` and `folders:end`:
 *
 *   | `libs/kube` | `libs/model`, `libs/observe` |
 */
export type LayerTable = ReadonlyMap<string, readonly string[]>;

export type TableName = "layers" | "folders";

const HEADS = { layers: "Package", folders: "Folder" } as const;

/** Throws when there is no table. */
export function parseTable(page: string, name: TableName): LayerTable {
  const rows = new Map<string, readonly string[]>();
  for (const line of page.slice(...tableAt(page, name)).split("\n")) {
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
export function writeTable(page: string, name: TableName, table: LayerTable): string {
  const lines = [`| ${HEADS[name]} | May import |`, "|---|---|"];
  for (const [folder, imports] of table) {
    lines.push(`| \`${folder}\` | ${imports.length === 0 ? "nothing" : imports.map((i) => `\`${i}\``).join(", ")} |`);
  }
  const [begin, end] = tableAt(page, name);
  return `${page.slice(0, begin)}\n${lines.join("\n")}\n${page.slice(end)}`;
}

function tableAt(page: string, name: TableName): [number, number] {
  const [from, to] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`];
  const [begin, end] = [page.indexOf(from), page.indexOf(to)];
  if (begin === -1 || end < begin) throw new Error(`Cannot find the table between "${from}" and "${to}"`);
  return [begin + from.length, end];
}
