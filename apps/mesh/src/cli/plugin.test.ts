/** Programs of other packages as commands: found in PATH, run with the terminal, ended with the CLI. */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { type TestContext, test } from "node:test";
import { MeshError } from "@isthmus/model";
import { until } from "@isthmus/testing";
import { findPlugin, runPlugin } from "./plugin.js";

function program(t: TestContext, code: string): { readonly folder: string; readonly path: string } {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-plugin-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "mesh-thing");
  writeFileSync(path, `#!/bin/sh\n${code}\n`);
  chmodSync(path, 0o755);
  return { folder, path };
}

const io = (signal: AbortSignal, env = {}) => ({
  ...{ out: () => undefined, err: () => undefined, color: false },
  ...{ signal, env: { PATH: process.env["PATH"], ...env } },
});

test("the first executable of that name in PATH is the one; without any there is a sentence", (t) => {
  const { folder, path } = program(t, "true");
  assert.equal(findPlugin("mesh-thing", `/nowhere${delimiter}${folder}`), path);
  chmodSync(path, 0o644);
  assert.throws(() => findPlugin("mesh-thing", folder), {
    code: "USAGE",
    message: /^Cannot run "mesh thing": there is no program "mesh-thing" in PATH/,
  });
});

test("the lab is found without PATH in an installation that has it", () => {
  assert.match(findPlugin("mesh-lab", ""), /node_modules\/\.bin\/mesh-lab$/);
});

test("arguments and environment go in, the exit code comes out", async (t) => {
  const { folder, path } = program(t, 'echo "$1,$2,$WORD" >"$0.out"; exit 7');
  assert.equal(await runPlugin(path, ["a b", "--c"], io(new AbortController().signal, { WORD: "w" })), 7);
  assert.equal(readFileSync(join(folder, "mesh-thing.out"), "utf8"), "a b,--c,w\n");
});

test("a SIGTERM of the CLI ends the program; an interrupt is the terminal's to send", async (t) => {
  const { folder, path } = program(t, 'trap "exit 9" TERM; echo x >"$0.up"; while :; do sleep 0.05; done');
  const stop = new AbortController();
  const ended = runPlugin(path, [], io(stop.signal));
  await until("it runs", () => findPlugin("mesh-thing", folder) === path && isThere(join(folder, "mesh-thing.up")));
  stop.abort(new MeshError({ code: "INTERRUPTED", exit: 143 }, "Interrupted"));
  assert.equal(await ended, 9);
});

function isThere(file: string): boolean {
  try {
    return readFileSync(file, "utf8") !== "";
  } catch {
    return false;
  }
}
