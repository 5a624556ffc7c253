/**
 * Runs the units on this Node and then on Node 24, the other supported release line, in separate processes with the lowest
 * priority: they use the processor time that tests which wait leave.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";

const at = (path) => new URL(path, import.meta.url).pathname;

/** Lowest priority, so that it does not delay what the other tests measure. */
const LOWEST = ["nice", "-n", "19"];
const NOTHING = { passed: 0, failed: 0, skipped: 0 };

/** Passes output, totals and failures of each of the two runs to `ended` when it has ended. Resolves after both; never rejects. */
export async function unitsBeside(ended) {
  // As it is now: the other groups change it while they run.
  const env = { ...process.env };
  ended(await units(process.execPath, env));
  const cache = mkdtempSync(join(tmpdir(), "isthmus-compiled-"));
  const remove = () => rmSync(cache, { recursive: true, force: true });
  process.once("exit", remove);
  try {
    // Hundreds of processes load the same modules: a third of the processor time of a start is compiling them. Node 20 has no cache.
    ended(await units(await node24(), { ...env, NODE_COMPILE_CACHE: cache }));
  } catch (error) {
    ended({ output: "", totals: NOTHING, failures: [`Node 24: ${error.message}`] });
  }
  remove();
  process.off("exit", remove);
}

/** The path of Node 24, after it has loaded the addon that this machine's Node built. */
async function node24() {
  const execute = promisify(execFile);
  const { stdout } = await execute(process.execPath, [at("../setup/node24.mjs")]);
  const node = stdout.trim();
  await execute(node, [at("../../libs/bpf/dist/testing/smoke.js")]);
  return node;
}

async function units(node, env) {
  const [nice, ...rest] = [...LOWEST, node, at("run.mjs"), "unit"];
  const child = spawn(nice, rest, { env, stdio: ["ignore", "pipe", "pipe", "ipc"] });
  const kill = () => child.kill();
  process.once("exit", kill);
  let [output, report] = ["", undefined];
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
  child.on("message", (message) => (report = message));
  const [code, signal] = await once(child, "close");
  process.off("exit", kill);
  const failures = report?.failures ?? [`unit, ${node}: ended with ${signal ?? code} and without totals`];
  return { output, totals: report?.totals ?? NOTHING, failures };
}
