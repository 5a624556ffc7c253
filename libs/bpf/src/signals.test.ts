/** The verifier fails with EAGAIN when a signal is pending; after five attempts of libbpf the load fails. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { OBJECTS } from "./testing/objects.js";

const LOADS = 10;

/** A process that receives signals from a child continuously; the child ends with it. */
const CODE = `
import { spawn } from "node:child_process";
import { native } from ${JSON.stringify(new URL("./native.js", import.meta.url).href)};
let signals = 0;
const first = new Promise((resolve) => process.on("SIGUSR2", () => { signals++; resolve(); }));
const flood = "import os, signal\\nparent = os.getppid()\\nwhile os.getppid() == parent: os.kill(parent, signal.SIGUSR2)";
const child = spawn("python3", ["-c", flood], { stdio: "inherit" });
await first;
for (let i = 0; i < ${LOADS}; i++) {
  const { maps, programs } = native().loadObject(${JSON.stringify(`${OBJECTS}/sock.bpf.o`)}, {});
  for (const fd of [...Object.values(maps), ...Object.values(programs).map(({ fd }) => fd)]) fd.close();
  await new Promise((resolve) => process.once("SIGUSR2", resolve));
}
child.kill("SIGKILL");
console.log("loaded");
process.exit(0);
`;

test("an object loads while signals arrive continuously", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", CODE], {
    timeout: 120_000,
  });
  assert.equal(stdout, "loaded\n");
});
