import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { findBpftool } from "./bpftool.js";

test("the first bpftool that runs is used; a script that needs the running kernel's tools is skipped for the newest kernel's", (t) => {
  const root = mkdtempSync(join(tmpdir(), "isthmus-bpftool-"));
  t.after(() => rmSync(root, { recursive: true }));
  const make = (folder: string, status: number): string => {
    const path = join(root, folder, "bpftool");
    mkdirSync(join(root, folder), { recursive: true });
    writeFileSync(path, `#!/bin/sh\nexit ${status}\n`);
    chmodSync(path, 0o755);
    return path;
  };
  const [places, tools] = [[join(root, "nowhere"), join(root, "sbin")], join(root, "tools")];
  assert.throws(() => findBpftool(places, tools), /Cannot find a bpftool that runs: looked in .*sbin/);
  make("sbin", 2);
  make("tools/6.8.0-9-generic", 0);
  const newest = make("tools/6.8.0-31-generic", 0);
  assert.equal(findBpftool(places, tools), newest);
  const own = make("sbin", 0);
  assert.equal(findBpftool(places, tools), own);
});
