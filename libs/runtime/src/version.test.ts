import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { VERSION } from "./version.js";

const ROOT = new URL("../../../", import.meta.url);

test("every package has the same version, which is that of the processes", () => {
  const versions = new Map<string, string>();
  const read = (file: string) => (JSON.parse(readFileSync(new URL(file, ROOT), "utf8")) as { version: string }).version;
  for (const folder of ["libs", "apps", "rig"]) {
    for (const name of readdirSync(new URL(folder, ROOT))) {
      const file = `${folder}/${name}/package.json`;
      if (readdirSync(new URL(`${folder}/${name}`, ROOT)).includes("package.json")) versions.set(file, read(file));
    }
  }
  assert.ok(versions.size > 10);
  assert.deepEqual(new Set([VERSION, read("package.json"), ...versions.values()]), new Set([VERSION]));
});
