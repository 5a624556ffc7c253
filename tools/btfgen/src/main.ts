/**
 * `node dist/main.js OBJECT HEADER OUT`: writes the codecs of OBJECT's BTF into the folder OUT, which it empties first.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findBpftool } from "./bpftool.js";
import { generate } from "./generate.js";

const [object, header, out] = process.argv.slice(2);
if (object === undefined || header === undefined || out === undefined) {
  console.error("Usage: main.js OBJECT HEADER OUT");
  process.exit(2);
}
const json = execFileSync(findBpftool(), ["btf", "dump", "-j", "file", object], {
  encoding: "utf8",
  maxBuffer: 64 << 20,
});
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
for (const [name, text] of generate(json, readFileSync(header, "utf8"))) writeFileSync(join(out, name), text);
