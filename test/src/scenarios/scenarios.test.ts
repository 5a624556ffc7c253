/** Runs every file of test/scenarios. `MESH_REWRITE=1` rewrites the outputs, so that reviewers read the diff. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { runScenario, runToEnd } from "./run-scenario.js";

const FOLDER = fileURLToPath(new URL("../../scenarios", import.meta.url));
const SHUFFLES = 20;

for (const file of readdirSync(FOLDER).filter((name) => name.endsWith(".txt"))) {
  const path = join(FOLDER, file);
  const text = readFileSync(path, "utf8");

  test(`${file}: the outputs are as in the file`, async () => {
    const out = await runScenario(text);
    if (process.env["MESH_REWRITE"] === "1") writeFileSync(path, out);
    else assert.equal(out, text);
  });

  test(`${file}: any order of events, and a fresh node, end in the same state`, async () => {
    const straight = await runToEnd(text, undefined);
    assert.equal(await runToEnd(text, "fresh"), straight, "fresh start");
    for (let seed = 0; seed < SHUFFLES; seed++) assert.equal(await runToEnd(text, seed), straight, `seed ${seed}`);
  });
}
