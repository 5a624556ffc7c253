#!/usr/bin/env node
/** Checks the committed generated files: generates them again and compares. Exit code 1 with the names of files that differ. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { ROOT, runStep, StepFailed } from "./step.mjs";

const FOLDERS = ["libs/bpf/src/gen", "libs/proto/src/gen"];

const before = digests();
try {
  for (const name of ["@isthmus/bpf", "@isthmus/proto"]) {
    await runStep(`generate ${name}`, ["npm", "run", "-s", "-w", name, "generate"]);
  }
} catch (error) {
  if (!(error instanceof StepFailed)) throw error;
  console.error(error.message);
  process.exit(1);
}
const after = digests();
const changed = [...new Set([...before.keys(), ...after.keys()])].filter(
  (path) => before.get(path) !== after.get(path),
);
for (const path of changed) console.error(`Generated file "${path}" was out of date: commit it as it is now`);
process.exit(changed.length === 0 ? 0 : 1);

function digests() {
  const files = FOLDERS.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath ?? entry.path, entry.name)),
  );
  const digest = (path) => createHash("sha256").update(readFileSync(path)).digest("hex");
  return new Map(files.map((path) => [path.slice(ROOT.length), digest(path)]));
}
