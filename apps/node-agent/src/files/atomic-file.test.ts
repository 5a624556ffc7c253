import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { readIfThere, writeAtomic } from "./atomic-file.js";

test("temporary files of killed agents are removed, and nothing else", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "magent-"));
  t.after(() => rm(folder, { recursive: true }));
  const left = [".source-0.snap.01ab23cd.tmp", ".source-0.snap.ffffffff-3.tmp"];
  const others = [".source-1.snap.01ab23cd.tmp", "source-0.snap.01ab23cd.tmp", ".source-0.snap.tmp", ".other"];
  for (const name of [...left, ...others]) await writeFile(join(folder, name), "part");
  const path = join(folder, "source-0.snap");
  await Promise.all(["a", "b", "c"].map((content) => writeAtomic(path, content)));
  assert.match(await readFile(path, "utf8"), /^[abc]$/);
  assert.deepEqual((await readdir(folder)).sort(), [...others, "source-0.snap"].sort());
});

test("a file is replaced atomically with its mode, and missing folders get a matching mode", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "magent-"));
  t.after(() => rm(folder, { recursive: true }));
  const [secret, open] = [join(folder, "a/secret"), join(folder, "b/open")];
  assert.equal(await readIfThere(secret), undefined);
  await writeAtomic(secret, "one");
  await writeAtomic(secret, "two");
  await writeAtomic(open, "x", 0o644);
  assert.equal((await readIfThere(secret))?.toString(), "two");
  const modes = await Promise.all([secret, join(folder, "a"), open, join(folder, "b")].map((path) => stat(path)));
  assert.deepEqual(
    modes.map(({ mode }) => mode & 0o777),
    [0o600, 0o700, 0o644, 0o755],
  );
});
