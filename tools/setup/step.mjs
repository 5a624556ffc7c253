/** One step of the set-up: what it says, how long it took, and the end of its output when it fails. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const STAMPS = join(ROOT, ".cache/setup");
const HEARTBEAT_MS = 15_000;

/** This machine cannot do it: exit 2. */
export class Unfit extends Error {}

/** A step ended badly: exit 1. */
export class StepFailed extends Error {}

/** Runs a command; its output is shown only when it fails, a sign of life now and then. `show`: pass stderr through. */
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

/** Skips the work when the inputs are what they were and the outputs are there. */
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
