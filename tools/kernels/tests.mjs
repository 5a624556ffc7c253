/** The test files that are run on other kernels: what loads, attaches or runs programs, and what speaks to the kernel otherwise. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { ROOT, Unfit } from "../setup/step.mjs";

/** Loads every object; its counts are compared with instructions.json. */
export const VERIFIER = "libs/bpf/dist/verifier.test.js";
/** A guest has one processor: no program runs beside another or beside its writer, which these wait for. */
const CONCURRENT = ["race", "race-rows", "grace", "fragment-order"];
/** Millions of packets, which an emulator takes too long for. */
const FLOODS = ["pod-flood"];
/** Of bytes only, the same on every kernel. */
const PURE = ["filters", "golden", "rank", "verdicts"];
const WITHOUT = new Set([...CONCURRENT, ...FLOODS, ...PURE].map((name) => `${name}.test.js`));
const FOLDERS = [
  "libs/bpf/dist",
  "libs/bpf/dist/attach",
  "libs/bpf/dist/netlink",
  "libs/bpf/dist/testing",
  "apps/node-agent/dist/cgroups",
];

/** Paths of all files, or of those whose path contains one of the words. */
export function testFiles(words) {
  const all = FOLDERS.flatMap((folder) =>
    readdirSync(join(ROOT, folder))
      .filter((file) => file.endsWith(".test.js") && !WITHOUT.has(file))
      .map((file) => `${folder}/${file}`),
  );
  all.sort((a, b) => Number(b === VERIFIER) - Number(a === VERIFIER));
  if (words.length === 0) return all;
  const unknown = words.find((word) => !all.some((path) => path.includes(word)));
  if (unknown !== undefined)
    throw new Unfit(`No test file has "${unknown}" in its path: choose from\n${all.join("\n")}`);
  return all.filter((path) => words.some((word) => path.includes(word)));
}
