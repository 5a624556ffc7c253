#!/usr/bin/env node
/** `node rig/lab/dist/main.js up …`: the same commands as `mesh lab …`. */
import { constants } from "node:os";
import { MeshError } from "@isthmus/model";
import { runLab } from "./cli/run-lab.js";

const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  const exit = 128 + constants.signals[signal];
  process.on(signal, () => interrupted.abort(new MeshError({ code: "INTERRUPTED", exit }, "Interrupted")));
}

process.exitCode = await runLab(process.argv.slice(2), {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  env: process.env,
  signal: interrupted.signal,
});
