/**
 * `node dist/main.js SCHEMA HEADER OUT PROGRAMS...`: writes the codecs of the BTF in the object SCHEMA, with the comments of
 * HEADER, and the names of the maps in the objects PROGRAMS into the folder OUT, which it empties first.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findBpftool } from "./bpftool.js";
import { generate } from "./generate.js";

const [schema, header, out, ...programs] = process.argv.slice(2);
if (schema === undefined || header === undefined || out === undefined || programs.length === 0) {
  console.error("Usage: main.js SCHEMA HEADER OUT PROGRAMS...");
  process.exit(2);
}
const bpftool = findBpftool();
const dump = (object: string): string =>
  execFileSync(bpftool, ["btf", "dump", "-j", "file", object], { encoding: "utf8", maxBuffer: 64 << 20 });
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
for (const [name, text] of generate(dump(schema), readFileSync(header, "utf8"), programs.map(dump))) {
  writeFileSync(join(out, name), text);
}
