/** Specs that are known to fail, by full name, each with the reason that the page gives: known-failures.json, written by hand. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const KNOWN_FAILURES = join(fileURLToPath(new URL("../..", import.meta.url)), "known-failures.json");

export type KnownFailures = ReadonlyMap<string, string>;

/** Throws when the file is not an object of texts. */
export async function readKnownFailures(file: string = KNOWN_FAILURES): Promise<KnownFailures> {
  const value: unknown = JSON.parse(await readFile(file, "utf8"));
  const entries = Object.entries(typeof value === "object" && value !== null ? value : {});
  return new Map(
    entries.map(([name, reason]) => {
      if (typeof reason !== "string" || reason === "")
        throw new Error(`Cannot read "${file}": "${name}" has no reason`);
      return [name, reason];
    }),
  );
}
