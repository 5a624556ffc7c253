/** The test files that are run on other kernels: what loads, runs or attaches programs, and what reads and writes their maps. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { ROOT, Unfit } from "../setup/step.mjs";

/** Loads every object; its counts are compared with instructions.json. */
export const VERIFIER = "libs/bpf/dist/verifier.test.js";
const NAMES =
  /^(verifier|pod-programs|pod-fragments|conntrack|pod-network|sock|udp-keep|udp-socket|service-ranges|selection|native|map-set|ring-events)\./;
const FOLDERS = [
  ["libs/bpf/dist", NAMES],
  ["libs/bpf/dist/attach", /./],
  ["libs/bpf/dist/testing", /./],
  ["apps/node-agent/dist/cgroups", /./],
];

/** Paths of all files, or of those whose path contains one of the words. */
export function testFiles(words) {
  const all = FOLDERS.flatMap(([folder, names]) =>
    readdirSync(join(ROOT, folder))
      .filter((file) => file.endsWith(".test.js") && names.test(file))
      .map((file) => `${folder}/${file}`),
  );
  all.sort((a, b) => Number(b === VERIFIER) - Number(a === VERIFIER));
  if (words.length === 0) return all;
  const unknown = words.find((word) => !all.some((path) => path.includes(word)));
  if (unknown !== undefined)
    throw new Unfit(`No test file has "${unknown}" in its path: choose from\n${all.join("\n")}`);
  return all.filter((path) => words.some((word) => path.includes(word)));
}
