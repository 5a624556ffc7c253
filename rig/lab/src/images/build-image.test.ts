import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { archiveBytes, buildArchive, buildImage, type ImageSpec } from "./build-image.js";
import { writeTar } from "./tar.js";

const SPEC: ImageSpec = {
  tag: "lab.isthmus.io/x:1",
  files: [
    { path: "/usr/bin/x", content: "#!x", mode: 0o755 },
    { path: "/etc/passwd", content: "root:x:0:0:root:/:\n" },
    { path: "/bin", target: "usr/bin" },
  ],
  entrypoint: ["/usr/bin/x"],
  env: ["A=b"],
};

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "isthmus-lab-"));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

const tar = async (...args: string[]) => (await promisify(execFile)("tar", args)).stdout;

test("the order of files does not change the bytes", async () => {
  const shuffled = { ...SPEC, files: [...SPEC.files].reverse() };
  assert.ok((await archiveBytes([SPEC])).equals(await archiveBytes([shuffled])));
});

test("modification times of source files do not change the bytes", async (t) => {
  const path = await folder(t);
  const source = join(path, "program");
  await writeFile(source, "bytes", { mode: 0o755 });
  const spec: ImageSpec = { tag: "a:1", files: [{ path: "/program", source }] };
  const before = await archiveBytes([spec]);
  await utimes(source, 1, 1);
  assert.ok(before.equals(await archiveBytes([spec])));
});

test("tar can read the archive, and the manifest names its parts", async (t) => {
  const path = await folder(t);
  const other: ImageSpec = { tag: "lab.isthmus.io/y:2", files: [{ path: "/y", content: "y" }] };
  const archive = await buildArchive([SPEC, other], path);
  await tar("-xf", archive, "-C", path);
  const manifest: { Config: string; RepoTags: string[]; Layers: string[] }[] = JSON.parse(
    await readFile(join(path, "manifest.json"), "utf8"),
  );
  assert.deepEqual(
    manifest.flatMap(({ RepoTags }) => RepoTags),
    ["lab.isthmus.io/x:1", "lab.isthmus.io/y:2"],
  );
  const layer = join(path, manifest[0]?.Layers[0] ?? "");
  assert.deepEqual((await tar("-tf", layer)).trim().split("\n"), [
    "bin",
    "etc/",
    "etc/passwd",
    "usr/",
    "usr/bin/",
    "usr/bin/x",
  ]);
  const config = JSON.parse(await readFile(join(path, manifest[0]?.Config ?? ""), "utf8"));
  assert.deepEqual(config.config, { Entrypoint: ["/usr/bin/x"], Env: ["A=b"] });
  assert.equal(config.rootfs.diff_ids[0], `sha256:${(manifest[0]?.Layers[0] ?? "").replace(".tar", "")}`);
});

test("an unchanged image is not written again", async (t) => {
  const path = await folder(t);
  const first = await buildImage(SPEC, path);
  const { mtimeMs, ino } = await stat(first);
  assert.equal(await buildImage(SPEC, path), first);
  const again = await stat(first);
  assert.deepEqual([again.mtimeMs, again.ino], [mtimeMs, ino]);
});

test("a long path is split into the prefix, one that is too long is refused", async (t) => {
  const path = await folder(t);
  const long = `${"d".repeat(120)}/${"f".repeat(90)}`;
  const file = join(path, "a.tar");
  await writeFile(file, writeTar([{ path: long, type: "file", mode: 0o600, content: Buffer.from("x") }]));
  assert.equal((await tar("-tf", file)).trim(), long);
  assert.throws(() => writeTar([{ path: "x".repeat(300), type: "directory", mode: 0o755 }]), /too long/);
});
