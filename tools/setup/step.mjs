/** Runs one step of the set-up: prints its title, its duration, and the end of its output when it fails. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const STAMPS = join(ROOT, ".cache/setup");
const HEARTBEAT_MS = 15_000;

/** This machine does not meet a requirement: exit code 2. */
export class Unfit extends Error {}

/** A step failed: exit code 1. */
export class StepFailed extends Error {}

/** Runs a command; shows its output only when it fails, and prints a heartbeat line. `show`: passes stderr through. */
export function runStep(title, argv, { env = process.env, show = false } = {}) {
  const startMs = Date.now();
  const seconds = () => Math.round((Date.now() - startMs) / 1000);
  console.error(`setup: ${title}`);
  return new Promise((resolve, reject) => {
    const child = spawn(argv[0], argv.slice(1), {
      cwd: ROOT,
      env,
      stdio: ["ignore", "pipe", show ? "inherit" : "pipe"],
    });
    let output = "";
    const keep = (piece) => {
      output = (output + piece).slice(-20_000);
    };
    child.stdout.on("data", keep);
    child.stderr?.on("data", keep);
    const timer = setInterval(() => console.error(`setup:   … ${title}, ${seconds()} s`), HEARTBEAT_MS);
    child.on("error", (error) => keep(error.message));
    child.on("close", (code) => {
      clearInterval(timer);
      if (code === 0) return resolve(output);
      const end = output.trimEnd().split("\n").slice(-25).join("\n");
      reject(new StepFailed(`setup: "${title}" failed after ${seconds()} s (exit ${code}):\n${end}`));
    });
  });
}

/** Runs the work unless the inputs are unchanged and the outputs exist. */
export async function once(name, { inputs, extra = "", outputs }, work) {
  const stamp = join(STAMPS, name);
  const hash = createHash("sha256").update(extra);
  for (const input of inputs) hash.update(input).update(existsSync(input) ? readFileSync(input) : "");
  const digest = hash.digest("hex");
  const done = existsSync(stamp) && readFileSync(stamp, "utf8") === digest && outputs.every((path) => existsSync(path));
  if (done) return;
  await work();
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, digest);
}
