/**
 * Checks that references in documents have a target.
 *
 * In: the repository's paths and the text of its Markdown pages. Out: sentences, one per finding; none = fine. Checked:
 * relative links everywhere; `applies-to:` globs of design pages; the tests that decision records name; their numbers.
 */
import { posix } from "node:path";
import { globToRegExp } from "./glob.js";

export type Pages = ReadonlyMap<string, string>;

const DESIGN_INDEX = "docs/design/README.md";

export function checkDocs(files: readonly string[], pages: Pages): readonly string[] {
  const known = new Set(files);
  for (const file of files) for (let dir = posix.dirname(file); dir !== "."; dir = posix.dirname(dir)) known.add(dir);
  return [
    ...[...pages].flatMap(([path, text]) => deadLinks(path, text, known)),
    ...[...pages]
      .filter(([path]) => path.startsWith("docs/design/") && path !== DESIGN_INDEX)
      .flatMap(([path, text]) => checkGlobs(path, text, files)),
    ...[...pages]
      .filter(([path]) => path.startsWith("docs/adr/0"))
      .flatMap(([path, text]) => checkRecord(path, text, known)),
    ...checkNumbers([...pages.keys()]),
    ...checkIndex(pages),
  ];
}

function checkIndex(pages: Pages): readonly string[] {
  const index = pages.get(DESIGN_INDEX) ?? "";
  return [...pages.keys()]
    .filter((path) => path.startsWith("docs/design/") && path !== DESIGN_INDEX)
    .filter((path) => !index.includes(`](${posix.basename(path)})`))
    .map((path) => `${DESIGN_INDEX}: has no link to "${path}"`);
}

function deadLinks(path: string, text: string, known: ReadonlySet<string>): readonly string[] {
  const prose = text.replace(/```[\s\S]*?```/g, "").replace(/`[^`\n]*`/g, "");
  const targets = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] ?? "");
  return targets
    .filter((target) => !/^([a-z]+:|#)/.test(target))
    .map((target) => posix.join(posix.dirname(path), target.replace(/#.*$/, "")))
    .filter((target) => target !== "." && !known.has(target.replace(/\/$/, "")))
    .map((target) => `${path}: links to "${target}", which does not exist`);
}

/** Parses the front matter: `applies-to:` and a list of globs, one per line. */
export function appliesTo(text: string): readonly string[] {
  const front = /^---\n([\s\S]*?)\n---\n/.exec(text)?.[1] ?? "";
  const list = /^applies-to:\n((?: {2}- .+\n?)+)/m.exec(front)?.[1] ?? "";
  return [...list.matchAll(/^ {2}- "?([^"\n]+)"?$/gm)].map((match) => match[1] ?? "");
}

function checkGlobs(path: string, text: string, files: readonly string[]): readonly string[] {
  const globs = appliesTo(text);
  if (globs.length === 0) return [`${path}: says nowhere what it applies to`];
  return globs
    .filter((glob) => !files.some((file) => globToRegExp(glob).test(file)))
    .map((glob) => `${path}: applies to "${glob}", which matches no file`);
}

/** `Confirmed by:` and at least one path in backticks. */
function checkRecord(path: string, text: string, known: ReadonlySet<string>): readonly string[] {
  const line = /^Confirmed by: (.+(?:\n.+)*)/m.exec(text)?.[1] ?? "";
  const tests = [...line.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? "").filter((word) => word.includes("/"));
  if (tests.length === 0) return [`${path}: names no test that confirms it`];
  return tests
    .filter((test) => !known.has(test))
    .map((test) => `${path}: is confirmed by "${test}", which does not exist`);
}

function checkNumbers(paths: readonly string[]): readonly string[] {
  const records = paths.filter((path) => /^docs\/adr\/\d{4}-/.test(path)).sort();
  return records.flatMap((path, n) =>
    path.startsWith(`docs/adr/${String(n + 1).padStart(4, "0")}-`)
      ? []
      : [`${path}: out of turn, number ${n + 1} is expected`],
  );
}
