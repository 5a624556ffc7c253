#!/usr/bin/env node
// Starts the built lab: "mesh lab" runs it, and so does "npx mesh-lab". Plain JavaScript, so that npm can link to it before anything is compiled.
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const main = join(here, "../dist/main.js");
if (existsSync(main)) {
  await import(main);
} else {
  process.stderr.write(`Cannot run mesh-lab: it is not built. Run: npm run build (in ${join(here, "../../..")})\n`);
  process.exitCode = 2;
}
