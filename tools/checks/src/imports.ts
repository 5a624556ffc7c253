/** Finds the imports of a TypeScript or JavaScript source. */
import { isBuiltin } from "node:module";

const PATTERNS = [
  /^\s*(?:import|export)\b[^"'`;]*?\bfrom\s*["']([^"']+)["']/gm,
  /^\s*import\s*["']([^"']+)["']/gm,
  /\b(?:import|require)\(\s*["']([^"']+)["']\s*\)/g,
];

/** Specifiers as written, each once. */
export function importsOf(source: string): readonly string[] {
  const found = PATTERNS.flatMap((pattern) => [...source.matchAll(pattern)].map((match) => match[1] ?? ""));
  return [...new Set(found)];
}

/** `@scope/name/file` → `@scope/name`; undefined for relative paths and Node's built-in modules. */
export function packageOf(specifier: string): string | undefined {
  if (specifier.startsWith(".") || specifier.startsWith("/") || isBuiltin(specifier)) return undefined;
  const [first = "", second = ""] = specifier.split("/");
  return first.startsWith("@") ? `${first}/${second}` : first;
}
