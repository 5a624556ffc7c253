/** Runs the units on Node 24, the other supported release line, in a separate process with the lowest priority. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

const at = (path) => new URL(path, import.meta.url).pathname;

/** Lowest priority, so that it does not delay what the end-to-end tests measure. */
const LOWEST = ["nice", "-n", "19"];

/**
 * Starts the units. Resolves when they have ended, with their output, totals and failures; never rejects.
 */
export async function unitsOnNode24() {
  const stopped = { output: "", totals: { passed: 0, failed: 0, skipped: 0 }, failures: [] };
  let node;
  try {
    node = execFileSync(process.execPath, [at("../setup/node24.mjs")], { encoding: "utf8" }).trim();
    execFileSync(node, [at("../../libs/bpf/dist/testing/smoke.js")]);
  } catch (error) {
    return { ...stopped, failures: [`Node 24: ${error.message}`] };
  }
  const [nice, ...rest] = [...LOWEST, node, at("run.mjs"), "unit"];
  // Hundreds of processes load the same modules: a third of the processor time of a start is compiling them. Node 20 has no cache.
  const cache = mkdtempSync(join(tmpdir(), "isthmus-compiled-"));
  const env = { ...process.env, NODE_COMPILE_CACHE: cache };
  const child = spawn(nice, rest, { env, stdio: ["ignore", "pipe", "pipe", "ipc"] });
  const kill = () => {
    child.kill();
    rmSync(cache, { recursive: true, force: true });
  };
  process.once("exit", kill);
  let [output, report] = ["", undefined];
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
  child.on("message", (message) => (report = message));
  const [code, signal] = await once(child, "close");
  process.off("exit", kill);
  rmSync(cache, { recursive: true, force: true });
  const failures = report?.failures ?? [`Node 24: the units ended with ${signal ?? code} and without their totals`];
  return { output, totals: report?.totals ?? stopped.totals, failures };
}
