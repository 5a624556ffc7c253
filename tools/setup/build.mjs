/** Builds the parts of the checkout, and Kubernetes, which is stored outside of it. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { once, ROOT, runStep } from "./step.mjs";

const at = (...parts) => join(ROOT, ...parts);
const TSC = at("node_modules/typescript/bin/tsc");

export async function installModules() {
  if (modulesMatch()) return;
  await runStep("npm ci", ["npm", "ci", "--no-audit", "--no-fund"]);
}

/** True when npm's record of node_modules matches the lock file; packages for other platforms may be absent. */
function modulesMatch() {
  const hidden = at("node_modules/.package-lock.json");
  if (!existsSync(hidden) || !existsSync(TSC)) return false;
  const read = (path) => JSON.parse(readFileSync(path, "utf8")).packages;
  const have = read(hidden);
  return Object.entries(read(at("package-lock.json"))).every(([path, want]) => {
    if (!path.startsWith("node_modules/") || want.link) return true;
    return have[path] === undefined ? want.optional === true : have[path].version === want.version;
  });
}

/** Incremental: the compiler skips what is up to date. */
export async function buildTypeScript() {
  await runStep("build TypeScript", [process.execPath, TSC, "-b"]);
}

export async function buildBpf() {
  await runStep("build BPF objects", ["make", "-s", "-C", "bpf"]);
}

export async function buildAddon() {
  const folder = at("libs/bpf/native");
  const sources = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile());
  const inputs = sources.map((entry) => join(folder, entry.name)).sort();
  const outputs = [join(folder, "build/Release/bpf.node")];
  await once("addon", { inputs, outputs }, () =>
    runStep("build the addon over libbpf", ["npm", "run", "-s", "-w", "@isthmus/bpf", "build:native"]),
  );
}

export async function buildCProgram() {
  for (const folder of ["apps/cni", "rig/demo/image"]) {
    if (existsSync(at(folder, "Makefile"))) await runStep(`build ${folder}`, ["make", "-s", "-C", folder]);
  }
}

export async function getKubernetes() {
  const main = at("rig/lab/dist/kube-binaries/main.js");
  await runStep("Kubernetes and etcd", [process.execPath, main], { show: true });
}
