/**
 * Checks that the folders inside each app import in one direction.
 *
 * In: packages with their sources, and the second table of docs/architecture.md, whose rows are paths and whose imports are
 * folders relative to `src`. Out: sentences, one per finding; none = fine. Only product files count: a test, and a file in a
 * folder `testing`, may import anything of its app.
 */
import { posix } from "node:path";
import { importsOf } from "./imports.js";
import { isTestCode, type Package } from "./layers.js";
import type { LayerTable } from "./table.js";

/** The folders that each folder imports, with the first file that does. Relative to `src`; "." has the files directly in it. */
type Imports = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** True for the packages whose folders are checked. */
export function hasFolders({ folder }: Pick<Package, "folder">): boolean {
  return folder.startsWith("apps/");
}

/** `table`: rows by path, each with folders relative to `src`. */
export function checkFolders(packages: readonly Package[], table: LayerTable): readonly string[] {
  const apps = packages.filter(hasFolders).map((one) => ({ one, imports: importsBetween(one) }));
  const present = new Set(apps.flatMap(({ one, imports }) => [...imports.keys()].map((folder) => pathOf(one, folder))));
  return [
    ...apps.flatMap(({ one, imports }) => checkCycles(imports).map((finding) => `${one.folder}: ${finding}`)),
    ...apps.flatMap(({ one, imports }) =>
      [...imports].flatMap(([folder, row]) => checkRow(pathOf(one, folder), row, table)),
    ),
    ...[...table.keys()]
      .filter((path) => !present.has(path))
      .map((path) => `${path}: in the table of folders, without product files in the repository`),
  ];
}

/** The table as the sources have it: in each app a folder stands below those that it imports. */
export function folderTable(packages: readonly Package[]): LayerTable {
  const rows = packages.filter(hasFolders).flatMap((one) => {
    const imports = importsBetween(one);
    return inOrder(imports).map(
      (folder) => [pathOf(one, folder), [...(imports.get(folder)?.keys() ?? [])].sort()] as const,
    );
  });
  return new Map(rows);
}

function pathOf({ folder }: Package, relative: string): string {
  return posix.join(folder, "src", relative);
}

function importsBetween({ folder: root, sources }: Package): Imports {
  const imports = new Map<string, Map<string, string>>();
  for (const [path, text] of sources) {
    if (isTestCode(path)) continue;
    const folder = relative(root, posix.dirname(path));
    const row = imports.get(folder) ?? new Map<string, string>();
    imports.set(folder, row);
    for (const specifier of importsOf(text)) {
      const target = relative(root, posix.dirname(posix.join(posix.dirname(path), specifier)));
      if (specifier.startsWith(".") && target !== folder && !row.has(target)) row.set(target, path);
    }
  }
  return imports;
}

function relative(root: string, folder: string): string {
  return posix.relative(`${root}/src`, folder) || ".";
}

function checkRow(path: string, row: ReadonlyMap<string, string>, table: LayerTable): readonly string[] {
  const allowed = table.get(path);
  if (allowed === undefined) return [`${path}: not in the table of folders of docs/architecture.md`];
  return [
    ...[...row]
      .filter(([target]) => !allowed.includes(target))
      .map(([target, file]) => `${file}: imports from "${target}", which the table of folders does not allow`),
    ...allowed
      .filter((target) => !row.has(target))
      .map((target) => `${path}: the table of folders allows "${target}", no file imports from it`),
  ];
}

/** One finding per group of folders that reach each other: a shortest cycle, with a file for each of its imports. */
function checkCycles(imports: Imports): readonly string[] {
  const reported = new Set<string>();
  return [...imports.keys()].sort().flatMap((folder) => {
    const cycle = shortestCycle(folder, imports);
    if (cycle === undefined || reported.has(folder)) return [];
    for (const other of reachable(folder, imports)) if (reachable(other, imports).has(folder)) reported.add(other);
    const hops = cycle.map((from, i) => imports.get(from)?.get(cycle[i + 1] ?? folder));
    return [`${[...cycle, folder].join(" → ")}: folders must import in one direction; see ${hops.join(", ")}`];
  });
}

/** The folders of a shortest way from a folder back to itself, that folder first. Undefined without one. */
function shortestCycle(start: string, imports: Imports): readonly string[] | undefined {
  const ways: (readonly string[])[] = [[start]];
  const visited = new Set<string>();
  for (const way of ways) {
    for (const target of imports.get(way[way.length - 1] ?? start)?.keys() ?? []) {
      if (target === start) return way;
      if (visited.has(target)) continue;
      visited.add(target);
      ways.push([...way, target]);
    }
  }
  return undefined;
}

function reachable(start: string, imports: Imports): ReadonlySet<string> {
  const found = new Set<string>();
  const visit = (folder: string): void => {
    for (const target of imports.get(folder)?.keys() ?? []) {
      if (found.has(target)) continue;
      found.add(target);
      visit(target);
    }
  };
  visit(start);
  return found;
}

/** Each folder after those that it imports, otherwise by name. */
function inOrder(imports: Imports): readonly string[] {
  const order = new Set<string>();
  const visiting = new Set<string>();
  const visit = (folder: string): void => {
    if (order.has(folder) || visiting.has(folder) || !imports.has(folder)) return;
    visiting.add(folder);
    for (const target of [...(imports.get(folder)?.keys() ?? [])].sort()) visit(target);
    order.add(folder);
  };
  for (const folder of [...imports.keys()].sort()) visit(folder);
  return [...order];
}
