import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { ClusterId, ClusterName } from "@isthmus/model";
import { openStateFiles } from "./state-files.js";

test("the membership is read back; invalid content counts as a missing file", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "magent-"));
  t.after(() => rm(folder, { recursive: true }));
  const later = join(folder, "made", "later");
  const files = openStateFiles(later);
  assert.equal(await files.membership(), undefined);
  const membership = { cluster: "east" as ClusterName, clusterId: 7 as ClusterId, servers: ["10.0.0.1:7443"] };
  await files.saveMembership(membership);
  assert.deepEqual(await files.membership(), membership);
  for (const text of [
    "",
    '{"cluster":',
    "null",
    '{"cluster":"East!","clusterId":1,"servers":[]}',
    '{"cluster":"east","clusterId":0,"servers":[]}',
    '{"cluster":"east","clusterId":1}',
  ]) {
    await writeFile(join(later, "mesh.json"), text);
    assert.equal(await files.membership(), undefined, text);
  }
});
