import assert from "node:assert/strict";
import { test } from "node:test";
import { runMeshCommand } from "./mesh-command.js";

const rig = { kubeconfig: "/nowhere/kubeconfig", storeFile: "/nowhere/store.json", env: {} };
const { signal } = new AbortController();

test("the output of the CLI is passed on line by line", async () => {
  const said: string[] = [];
  await runMeshCommand(rig, ["--help"], (text) => void said.push(text), signal);
  assert.ok(
    said.some((text) => /^ {2}.*mesh connect/.test(text)),
    said.join("\n"),
  );
});

test("an exit code other than 0 rejects with the command and its last output", async () => {
  const run = runMeshCommand(rig, ["connect", "east", "west"], () => undefined, signal);
  await assert.rejects(run, /^Error: Cannot go on: "mesh connect east west" ended with \d: .*nowhere/);
});
