import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { installPlugin, writeConfiguration } from "./cni-files.js";
import type { PodsOptions } from "./types.js";

async function node(t: TestContext): Promise<PodsOptions> {
  const nodeRoot = await mkdtemp(join(tmpdir(), "mcni-"));
  t.after(() => rm(nodeRoot, { recursive: true }));
  return {
    nodeRoot,
    socketPath: "/run/isthmus/cni.sock",
    cniBinDir: "/opt/cni/bin",
    cniConfDir: "/etc/cni/net.d",
    pluginPath: join(nodeRoot, "plugin"),
    stateDir: nodeRoot,
  };
}

const binary = (options: PodsOptions, name: string) => join(options.nodeRoot, options.cniBinDir, name);

test("the plugin and its loopback are installed, executable, and replaced together", async (t) => {
  const options = await node(t);
  for (const version of ["one", "two"]) {
    await writeFile(options.pluginPath, version);
    await installPlugin(options);
    for (const name of ["isthmus-cni", "loopback"]) {
      assert.equal(await readFile(binary(options, name), "utf8"), version);
      assert.equal((await stat(binary(options, name))).mode & 0o777, 0o755);
    }
  }
  assert.deepEqual((await readdir(join(options.nodeRoot, options.cniBinDir))).sort(), ["isthmus-cni", "loopback"]);
});

test("a loopback of another program is not replaced", async (t) => {
  const options = await node(t);
  await writeFile(options.pluginPath, "one");
  await installPlugin(options);
  await writeFile(binary(options, "loopback"), "theirs");
  await writeFile(options.pluginPath, "two");
  await installPlugin(options);
  assert.equal(await readFile(binary(options, "loopback"), "utf8"), "theirs");
  assert.equal(await readFile(binary(options, "isthmus-cni"), "utf8"), "two");
});

test("an unchanged configuration is not written again, because runtimes reload at each write", async (t) => {
  const options = await node(t);
  await writeConfiguration(options);
  const path = join(options.nodeRoot, options.cniConfDir, "05-isthmus.conflist");
  const first = await stat(path);
  await writeConfiguration(options);
  assert.equal((await stat(path)).ino, first.ino);
});
