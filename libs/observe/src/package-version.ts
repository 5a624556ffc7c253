import { readFileSync } from "node:fs";

/** The version that a package.json names. Throws when there is none to read. */
export function packageVersion(file: URL): string {
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
