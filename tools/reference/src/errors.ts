/**
 * Error codes: those that the sources throw, and what their packages say about them.
 *
 * A package documents its codes in unions whose names end in `ErrorCode` or `ErrorData`; what it throws may also be documented by
 * a package that it imports. A code that is thrown and not documented, one that is documented and never thrown, and one that is
 * no literal are findings.
 */
import type { ProductSource } from "@isthmus/checks";
import { type Documented, documentedIn, typeNames } from "./documented.js";
import type { Packages } from "./packages.js";
import { byKey, code, sentence, wrap } from "./page.js";
import { thrownBy } from "./thrown.js";

export interface ErrorEntry extends Documented {
  /** Package that documents it: `libs/kube`. */
  readonly folder: string;
  /** Source that documents it. */
  readonly where: string;
  /** What it says, each form once; "…" stands for what is filled in. */
  readonly sentences: Set<string>;
  thrown: boolean;
}

export interface Errors {
  /** Sorted by code; of one code one entry for each package that documents it. */
  readonly entries: readonly ErrorEntry[];
  readonly findings: readonly string[];
}

export function findErrors(sources: readonly ProductSource[], packages: Packages): Errors {
  const entries = sources.flatMap(entriesOf);
  const findings: string[] = [];
  for (const source of sources) {
    const folders = packages.within(source.folder);
    const entryOf = (name: string) =>
      folders.map((folder) => entries.find((entry) => entry.folder === folder && entry.name === name)).find(Boolean);
    for (const { codes, sentences, line } of thrownBy(source)) {
      const where = `${source.path}:${line}`;
      if (codes === undefined) findings.push(`${where}: the code of this error is not a literal`);
      for (const name of codes ?? []) {
        const entry = entryOf(name);
        if (entry === undefined) {
          findings.push(
            `${where}: error code "${name}" is not documented: add it to a union …ErrorCode of ${source.folder}`,
          );
          continue;
        }
        entry.thrown = true;
        for (const each of sentences) entry.sentences.add(each);
      }
    }
  }
  for (const { where, name, meaning, fix, thrown } of entries) {
    if (!thrown) findings.push(`${where}: error code "${name}" is documented, and nothing throws it`);
    if (meaning === "" || fix === "")
      findings.push(
        `${where}: error code "${name}" needs a comment that says what happened, and "Fix:" with what to do`,
      );
  }
  return { entries: entries.sort((a, b) => byKey([a.name, a], [b.name, b])), findings };
}

function entriesOf(source: ProductSource): readonly ErrorEntry[] {
  const { folder, path } = source;
  return typeNames(source, /Error(Code|Data)$/)
    .flatMap((type) => documentedIn(source, type) ?? [])
    .map((entry) => ({ ...entry, folder, where: path, sentences: new Set(), thrown: false }));
}

/** The sections of the page, one for each code. */
export function errorsText({ entries }: Errors, packages: Packages): string {
  const codes = [...new Set(entries.map(({ name }) => name))];
  return codes
    .map((name) => {
      const same = entries.filter((entry) => entry.name === name);
      return [`## ${name}`, ...same.map((entry) => section(entry, packages.programsOf(entry.folder)))].join("\n\n");
    })
    .join("\n\n");
}

function section({ meaning, fix, folder, sentences }: ErrorEntry, programs: readonly string[]): string {
  const origin = folder.startsWith("apps/") ? "" : ` (${code(folder)})`;
  const quoted = [...sentences].sort().map((each) => wrap(each, "> "));
  return [
    wrap(meaning),
    wrap(`**What to do:** ${sentence(fix)}`),
    ...(quoted.length === 0 ? [] : [quoted.join("\n>\n")]),
    wrap(`In: ${programs.join(", ")}${origin}.`),
  ].join("\n\n");
}
