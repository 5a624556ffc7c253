import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { enableForwarding } from "./forwarding.js";

test("forwarding is turned on if it is off; if it is on, the file is not written, since it may be read-only", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "magent-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "ip_forward");
  writeFileSync(file, "0\n");
  await enableForwarding(file);
  assert.equal(readFileSync(file, "utf8"), "1");
  writeFileSync(file, "1\n");
  await enableForwarding(file);
  assert.equal(readFileSync(file, "utf8"), "1\n");
});

test("a file that cannot be written is an error that says what does not work", async () => {
  await assert.rejects(
    enableForwarding("/proc/version"),
    /^MeshError: Cannot turn on forwarding in "\/proc\/version", .*: E/,
  );
});
