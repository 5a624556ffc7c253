import { readFileSync } from "node:fs";

const manifest = readFileSync(new URL("../package.json", import.meta.url), "utf8");

/** The version of Isthmus. All packages of a checkout have the same one, so that of this package is that of every process. */
export const VERSION: string = (JSON.parse(manifest) as { version: string }).version;
