import { readFileSync } from "node:fs";

/** Reads the version in a package.json. Throws when the file cannot be read. */
export function packageVersion(file: URL): string {
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
