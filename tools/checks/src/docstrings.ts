/**
 * Which exported functions, and which members of exported interfaces, have a documentation comment.
 *
 * In: the sources of the product. Out: counts by package, and what lacks a comment. A share in percent that is below its floor is a
 * finding; floors stand in tools/checks/docstrings.json and are only raised.
 */
import {
  isArrowFunction,
  isFunctionDeclaration,
  isFunctionExpression,
  isInterfaceDeclaration,
  isMethodSignatureDeclaration,
  isPropertySignatureDeclaration,
  isVariableStatement,
  type Node,
  SyntaxKind,
} from "typescript/unstable/ast";
import type { ProductSource } from "./product.js";

export interface Share {
  readonly all: number;
  readonly documented: number;
}

export interface PackageDocs {
  readonly functions: Share;
  /** Properties and methods of exported interfaces. */
  readonly members: Share;
  /** What lacks a comment: `libs/pki/src/key.ts:12 createKey`. */
  readonly missing: readonly string[];
}

/** Floors in percent. */
export type Floors = Readonly<Record<string, { readonly functions: number; readonly members: number }>>;

/** By folder of the package, in the order of the sources. */
export function countDocs(sources: readonly ProductSource[]): ReadonlyMap<string, PackageDocs> {
  const found = new Map<string, Declared[]>();
  for (const source of sources) found.set(source.folder, [...(found.get(source.folder) ?? []), ...declaredIn(source)]);
  return new Map([...found].map(([folder, declared]) => [folder, summary(declared)]));
}

/** The share in whole percent, rounded down; 100 of nothing. */
export function percent({ all, documented }: Share): number {
  return all === 0 ? 100 : Math.floor((100 * documented) / all);
}

export function checkDocstrings(docs: ReadonlyMap<string, PackageDocs>, floors: Floors): readonly string[] {
  const findings = [...docs].flatMap(([folder, { functions, members }]) => {
    const floor = floors[folder];
    if (floor === undefined) return [`${folder}: has no floor in ${FLOORS}; run: ${RUN} --write`];
    return [
      ...below(folder, "exported functions", percent(functions), floor.functions),
      ...below(folder, "members of exported interfaces", percent(members), floor.members),
    ];
  });
  const gone = Object.keys(floors).filter((folder) => !docs.has(folder));
  return [
    ...findings,
    ...gone.map((folder) => `${folder}: has a floor in ${FLOORS} and is no package; run: ${RUN} --write`),
  ];
}

export const FLOORS = "tools/checks/docstrings.json";
const RUN = "node tools/checks/dist/main.js docstrings";

function below(folder: string, what: string, share: number, floor: number): readonly string[] {
  if (share >= floor) return [];
  return [
    `${folder}: ${share} % of its ${what} have a comment, the floor is ${floor} %; what lacks one: ${RUN} ${folder}`,
  ];
}

/** Floors as they are now, where they have not fallen. */
export function raisedFloors(docs: ReadonlyMap<string, PackageDocs>, floors: Floors): Floors {
  return Object.fromEntries(
    [...docs].map(([folder, { functions, members }]) => [
      folder,
      {
        functions: Math.max(percent(functions), floors[folder]?.functions ?? 0),
        members: Math.max(percent(members), floors[folder]?.members ?? 0),
      },
    ]),
  );
}

/** One line for each package, and one for all. */
export function docsTable(docs: ReadonlyMap<string, PackageDocs>): string {
  const sum = (pick: (each: PackageDocs) => Share): Share => ({
    all: [...docs.values()].reduce((count, each) => count + pick(each).all, 0),
    documented: [...docs.values()].reduce((count, each) => count + pick(each).documented, 0),
  });
  const total = { functions: sum((each) => each.functions), members: sum((each) => each.members) };
  const cell = (share: Share) => `${share.documented}/${share.all} ${percent(share)} %`;
  const rows = [...docs, ["all", total] as const].map(
    ([folder, { functions, members }]) =>
      `${folder.padEnd(28)} functions ${cell(functions).padEnd(16)} members ${cell(members)}`,
  );
  return `${rows.join("\n")}\n`;
}

const COMMENT = /\/\*\*([\s\S]*?)\*\//;

interface Declared {
  readonly kind: "functions" | "members";
  readonly name: string;
  readonly documented: boolean;
}

function summary(declared: readonly Declared[]): PackageDocs {
  const share = (kind: Declared["kind"]): Share => {
    const same = declared.filter((each) => each.kind === kind);
    return { all: same.length, documented: same.filter(({ documented }) => documented).length };
  };
  const missing = declared.filter(({ documented }) => !documented).map(({ name }) => name);
  return { functions: share("functions"), members: share("members"), missing };
}

function declaredIn({ path, file }: ProductSource): readonly Declared[] {
  const { text } = file;
  const declared = (kind: Declared["kind"], node: Node, name: string): Declared => {
    const line = file.getLineAndCharacterOfPosition(node.getStart()).line + 1;
    const comments = text.slice(node.getFullStart(), node.getStart());
    return { kind, name: `${path}:${line} ${name}`, documented: /\w/.test(COMMENT.exec(comments)?.[1] ?? "") };
  };
  return file.statements.filter(isExported).flatMap((statement): readonly Declared[] => {
    if (isFunctionDeclaration(statement)) return [declared("functions", statement, statement.name?.text ?? "default")];
    if (isInterfaceDeclaration(statement))
      return statement.members
        .filter((member) => isPropertySignatureDeclaration(member) || isMethodSignatureDeclaration(member))
        .map((member) => declared("members", member, `${statement.name.text}.${member.name.getText()}`));
    if (!isVariableStatement(statement)) return [];
    return statement.declarationList.declarations
      .filter(
        ({ initializer }) =>
          initializer !== undefined && (isArrowFunction(initializer) || isFunctionExpression(initializer)),
      )
      .map(({ name }) => declared("functions", statement, name.getText()));
  });
}

function isExported(node: Node): boolean {
  const { modifiers } = node as { readonly modifiers?: readonly Node[] };
  return modifiers?.some(({ kind }) => kind === SyntaxKind.ExportKeyword) === true;
}
