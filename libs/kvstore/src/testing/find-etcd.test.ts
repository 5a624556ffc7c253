import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { findEtcd } from "./find-etcd.js";

test("etcd is found in MESH_KUBE_BIN or in the cache; a missing one is an error", async (t) => {
  const dir = await mkdtemp(join(tmpdir(), "isthmus-find-"));
  t.after(() => rm(dir, { recursive: true }));
  const environment = { XDG_CACHE_HOME: dir };
  assert.throws(() => findEtcd(environment), /Cannot run tests against etcd: no "etcd" in MESH_KUBE_BIN \(not set\)/);
  assert.throws(() => findEtcd({ ...environment, MESH_KUBE_BIN: dir }), /Cannot run tests against etcd/);
  const bin = join(dir, "isthmus", "kube", "1.34.4-abc");
  await mkdir(bin, { recursive: true });
  await writeFile(join(bin, "etcd"), "");
  assert.equal(findEtcd(environment), join(bin, "etcd"));
  assert.equal(findEtcd({ MESH_KUBE_BIN: bin }), join(bin, "etcd"));
});
