import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { silentLogger } from "@isthmus/observe";
import { allow } from "@isthmus/node-policy/testing";
import type { HashedRecord } from "@isthmus/records";
import { createKeptPolicies } from "./kept-policies.js";
import { openStateFiles } from "./sync/state-files.js";

async function startFiles(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), "kept-"));
  t.after(() => rm(folder, { recursive: true }));
  return { folder, files: openStateFiles(folder) };
}

test("what is in force in place of refused policies is on disk from the first sync on, and the file goes with the last", async (t) => {
  const { folder, files } = await startFiles(t);
  const state = { replaced: [] as HashedRecord[], localVerified: false };
  let failing = false;
  const keep = (saved: readonly HashedRecord[]) =>
    createKeptPolicies({
      meshState: {
        get localVerified() {
          return state.localVerified;
        },
        policies: { errors: new Map(), inForce: 0, replaced: () => state.replaced },
      },
      files: {
        saveKeptPolicies: (records) => (failing ? Promise.reject(new Error("full")) : files.saveKeptPolicies(records)),
      },
      ...{ log: silentLogger, saved },
    });
  const [web, api] = ["web", "api"].map((name) => allow(name, "web", "ingress", []));
  assert.ok(web !== undefined && api !== undefined);
  let kept = keep([]);
  const look = async () => {
    kept.look();
    await kept.idle();
    const now = await files.keptPolicies();
    return "error" in now ? now : now.map(({ key }) => key);
  };
  state.replaced = [web];
  assert.deepEqual(await look(), []);
  state.localVerified = true;
  assert.deepEqual(await look(), [web.key]);
  failing = true;
  state.replaced = [web, api];
  assert.deepEqual(await look(), [web.key]);
  failing = false;
  assert.deepEqual(await look(), [web.key, api.key]);

  // The next agent, which has not seen all policies yet.
  kept = keep([web, api]);
  Object.assign(state, { replaced: [], localVerified: false });
  assert.deepEqual(await look(), [web.key, api.key]);
  state.localVerified = true;
  assert.deepEqual(await look(), []);
  assert.deepEqual(await readdir(folder), []);
});

test("a file that was cut is refused", async (t) => {
  const { folder, files } = await startFiles(t);
  await writeFile(join(folder, "kept-policies"), "MESHSNAP");
  const kept = await files.keptPolicies();
  assert.ok("error" in kept);
  assert.match(kept.error.message, /Cannot use the snapshot/);
  assert.deepEqual((await files.snapshots()).good, []);
});
