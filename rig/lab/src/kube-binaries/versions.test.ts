import assert from "node:assert/strict";
import { test } from "node:test";
import { isUsableGo, kubernetesLdflags } from "./build.js";
import { parseKubeVersions, readE2eVersion, readKubeVersions } from "./versions.js";

const MOD =
  "tool (\n\tgo.etcd.io/etcd/server/v3\n)\nrequire (\n\tgo.etcd.io/etcd/server/v3 v3.6.4 // indirect\n\tk8s.io/kubernetes v1.34.4\n)";

test("versions come from the requirements, not from the list of tools", () => {
  const versions = parseKubeVersions(MOD, "sum");
  assert.deepEqual([versions.kubernetes, versions.etcd], ["v1.34.4", "v3.6.4"]);
});

test("the cache key changes with go.sum", () => {
  assert.notEqual(parseKubeVersions(MOD, "a").key, parseKubeVersions(MOD, "b").key);
});

test("the committed module pins both", async () => {
  const versions = await readKubeVersions();
  assert.match(versions.kubernetes, /^v1\.\d+\.\d+$/);
  assert.match(versions.etcd, /^v3\.\d+\.\d+$/);
});

test("the end-to-end tests are those of the lab's Kubernetes, in a cache of their own", async () => {
  const [lab, e2e] = await Promise.all([readKubeVersions(), readE2eVersion()]);
  assert.equal(e2e.kubernetes, lab.kubernetes);
  assert.notEqual(e2e.key, lab.key);
});

test("go 1.21 and newer can fetch the toolchain that is needed", () => {
  assert.ok(isUsableGo("go version go1.21.0 linux/amd64"));
  assert.ok(isUsableGo("go version go1.26.8 linux/amd64"));
  assert.ok(!isUsableGo("go version go1.19.8 linux/amd64"));
  assert.ok(!isUsableGo(""));
});

test("the version that kubectl and the API server report is set at link time", () => {
  const flags = kubernetesLdflags("v1.34.4");
  assert.match(flags, /gitVersion=v1\.34\.4/);
  assert.match(flags, /gitMajor=1 .*gitMinor=34/);
});
