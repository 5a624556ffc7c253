/**
 * Compares the imports of every package with those that it may have.
 *
 * In: packages with their sources, and the table of docs/architecture.md. Out: sentences, one per finding; none = fine.
 */
import { posix } from "node:path";
import { importsOf, packageOf } from "./imports.js";
import type { LayerTable } from "./table.js";

export interface Package {
  /** "libs/kube" */
  readonly folder: string;
  /** "@isthmus/kube" */
  readonly name: string;
  /** Dependencies of any kind in its package.json. */
  readonly declared: ReadonlySet<string>;
  /** Packages that it may import: its declared ones, and tools that the root package.json declares for all. */
  readonly dependencies: ReadonlySet<string>;
  /** Folders of the tsconfig references. */
  readonly references: readonly string[];
  /** Path relative to the root, and text. */
  readonly sources: ReadonlyMap<string, string>;
}

const ADDON = "Release/bpf.node";
const OWN_NAME = "@isthmus/checks";

/** Modules that only one package may load. The addon is loaded by path, so it is identified by its file name. */
export const KEEPERS: ReadonlyMap<string, string> = new Map([
  ["@kubernetes/client-node", "libs/kube"],
  ["etcd3", "libs/kvstore"],
  [ADDON, "libs/bpf"],
]);

/** May be declared before it is imported: health claims will use it. */
const RESERVED: ReadonlySet<string> = new Set(["nats"]);

/** Packages that are not part of the product: what is for tests, and the rigs. */
const TEST_PACKAGES = /^(libs\/testing|test|rig\/.*)$/;

/** True for a test, for a file in a folder `testing`, and for an import of such a folder or of a package's `testing`. */
export function isTestCode(path: string): boolean {
  return /\.test\.ts$|(^|\/)testing(\/|$)/.test(path);
}

export function checkLayers(packages: readonly Package[], table: LayerTable): readonly string[] {
  const folders = new Map(packages.map((one) => [one.name, one.folder]));
  return [
    ...packages.flatMap((one) => checkReferences(one, table)),
    ...[...table.keys()]
      .filter((f) => !packages.some((p) => p.folder === f))
      .map((f) => `${f}: in the table, not in the repository`),
    ...packages.flatMap((one) => checkSources(one, new Set(table.get(one.folder)), folders)),
    ...packages.flatMap((one) => checkDeclared(one, folders)),
  ];
}

function checkReferences({ folder, references }: Package, table: LayerTable): readonly string[] {
  const row = table.get(folder);
  if (row === undefined) return [`${folder}: not in the table of docs/architecture.md`];
  return [
    ...references
      .filter((r) => !row.includes(r))
      .map((r) => `${folder}: its tsconfig.json refers to ${r}, the table does not allow it`),
    ...row
      .filter((r) => !references.includes(r))
      .map((r) => `${folder}: the table allows ${r}, its tsconfig.json does not refer to it`),
  ];
}

function checkSources(
  one: Package,
  allowed: ReadonlySet<string>,
  folders: ReadonlyMap<string, string>,
): readonly string[] {
  const findings: string[] = [];
  for (const [path, text] of one.sources) {
    for (const specifier of importsOf(text)) {
      const finding = specifier.startsWith(".")
        ? escapes(one, path, specifier)
        : foreign(one, specifier, allowed, folders);
      if (finding !== null) findings.push(`${path}: ${finding}`);
      if (isTestCode(specifier) && !TEST_PACKAGES.test(one.folder) && !isTestCode(path))
        findings.push(`${path}: imports "${specifier}", which is for tests: move it to a folder "testing"`);
    }
    const keeper = KEEPERS.get(ADDON);
    if (one.folder !== keeper && one.name !== OWN_NAME && text.includes(ADDON))
      findings.push(`${path}: only ${keeper} loads the addon`);
  }
  return findings;
}

/** Checks that every declared dependency is imported, and that every package in the tsconfig references is declared. */
function checkDeclared(one: Package, folders: ReadonlyMap<string, string>): readonly string[] {
  const imported = new Set([...one.sources.values()].flatMap(importsOf).map(packageOf));
  const needed = (name: string) => imported.has(name.replace(/^@types\//, "")) || RESERVED.has(name);
  const referred = [...folders].filter(([, folder]) => one.references.includes(folder)).map(([name]) => name);
  return [
    ...[...one.declared].filter((name) => !needed(name)).map((name) => `declares "${name}" and never imports it`),
    ...referred
      .filter((name) => !one.dependencies.has(name))
      .map((name) => `refers to "${name}" and does not declare it`),
  ].map((finding) => `${one.folder}/package.json: ${finding}`);
}

function escapes({ folder }: Package, path: string, specifier: string): string | null {
  const target = posix.join(posix.dirname(path), specifier);
  return target.startsWith(`${folder}/`) ? null : `"${specifier}" leaves the package; import it by its name`;
}

function foreign(
  one: Package,
  specifier: string,
  allowed: ReadonlySet<string>,
  folders: ReadonlyMap<string, string>,
): string | null {
  const name = packageOf(specifier);
  if (name === undefined || name === one.name) return null;
  const folder = folders.get(name);
  if (folder !== undefined && !allowed.has(folder)) return `imports "${name}", which the table does not allow`;
  const keeper = KEEPERS.get(name);
  if (keeper !== undefined && keeper !== one.folder) return `only ${keeper} may import "${name}"`;
  return one.dependencies.has(name) ? null : `imports "${name}", which its package.json does not declare`;
}
