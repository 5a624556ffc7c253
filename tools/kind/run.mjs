#!/usr/bin/env node
/**
 * Runs deploy/kind on a machine without an image registry: real kind through podman, in a separate network namespace.
 *
 *   node tools/kind/run.mjs            images, up.sh, demo.sh, upkeep.sh, down.sh
 *   node tools/kind/run.mjs full       the same with restart.sh before down.sh
 *   node tools/kind/run.mjs images     only the images
 *   node tools/kind/run.mjs up|demo|upkeep|restart|down [ARGUMENT...]
 *   node tools/kind/run.mjs exec COMMAND...      in the rig's network, with its tools and settings
 *
 * Exit codes: that of the failed command; 2 unfit machine. A whole run takes everything down when interrupted.
 */
import { spawn } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { preflight } from "../setup/preflight.mjs";
import { ROOT, StepFailed, Unfit } from "../setup/step.mjs";
import {
  engineEnv,
  inside,
  networkIsOpen,
  openNetwork,
  rememberMachine,
  restoreMachine,
  writeSettings,
} from "./engine.mjs";
import { makeImages } from "./images.mjs";
import { installEngine } from "./packages.mjs";
import { getPrograms } from "./programs.mjs";

const [task = "all", ...rest] = process.argv.slice(2);
/** Runs that take everything down at their end, with their scripts. */
const WHOLE = { all: ["up", "demo", "upkeep"], full: ["up", "demo", "upkeep", "restart"] };
const TASKS = [...Object.keys(WHOLE), "images", "up", "demo", "upkeep", "restart", "down", "exec"];
if (!TASKS.includes(task)) {
  console.error(`Unknown task "${task}": choose from ${TASKS.join(", ")}`);
  process.exit(2);
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof StepFailed || error instanceof Unfit)) throw error;
  console.error(error.message);
  process.exitCode = error instanceof Unfit ? 2 : 1;
}

async function main() {
  preflight();
  await installEngine();
  writeSettings();
  const wasUp = networkIsOpen();
  rememberMachine();
  // The signal also reaches the running command. When that has ended, the run takes the rest down.
  for (const name of ["SIGINT", "SIGTERM"]) process.on(name, () => console.error("Interrupted"));
  try {
    return await runTask();
  } finally {
    if (task in WHOLE || task === "down") await takeDown();
    else if (!wasUp && task !== "up" && task !== "exec") restoreMachine();
  }
}

async function runTask() {
  if (task === "down") return 0;
  const programs = await getPrograms();
  const image = task in WHOLE || ["images", "up", "restart"].includes(task) ? await makeImages(programs) : "";
  if (task === "images") return 0;
  openNetwork();
  const env = settings(programs, image);
  if (task === "exec") return await run(rest, env);
  for (const name of WHOLE[task] ?? [task]) {
    const code = await run([join(ROOT, "deploy/kind", `${name}.sh`), ...rest], env);
    if (code !== 0) return code;
  }
  return 0;
}

/** Takes the clusters down. Without the rig's network there are none. */
async function takeDown() {
  if (networkIsOpen()) await run([join(ROOT, "deploy/kind/down.sh")], settings(await getPrograms(), ""));
  restoreMachine();
}

function settings({ bin }, image) {
  return engineEnv({
    PATH: `${bin}:${process.env.PATH}`,
    IMAGES_READY: "1",
    ...(image === "" ? {} : { KIND_NODE_IMAGE: image }),
  });
}

function run(argv, env) {
  const [program, ...args] = inside(argv);
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: ROOT, env, stdio: "inherit" });
    child.on("error", reject);
    child.on("close", (code, signal) => resolve(signal === null ? code : 130));
  });
}
