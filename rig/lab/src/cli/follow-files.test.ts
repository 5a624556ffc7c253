import assert from "node:assert/strict";
import { appendFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { waitFor } from "../host/wait.js";
import { followFiles } from "./follow-files.js";

test("whole lines are printed as they are written, with a header when the file changes, and from the beginning after a rotation", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "isthmus-follow-"));
  t.after(() => rm(folder, { recursive: true }));
  const file = (name: string) => join(folder, name);
  await writeFile(file("a.log"), "old\n");
  await writeFile(file("b.log"), "");
  const stop = new AbortController();
  t.after(() => stop.abort());
  const pieces: string[] = [];
  const io = { out: (text: string) => void pieces.push(text), signal: stop.signal };
  const seen = new Map([
    ["a.log", 4],
    ["b.log", 0],
  ]);
  const following = followFiles(folder, seen, io);
  const shows = (text: string) => waitFor(text, () => pieces.join("") === text, { timeoutMs: 10_000, everyMs: 10 });
  await appendFile(file("a.log"), "one\nha");
  await shows("==> a.log <==\none\n");
  await appendFile(file("a.log"), "lf\n");
  await shows("==> a.log <==\none\nhalf\n");
  await appendFile(file("b.log"), "two\n");
  await shows("==> a.log <==\none\nhalf\n==> b.log <==\ntwo\n");
  await writeFile(file("b.log"), "3\n");
  await shows("==> a.log <==\none\nhalf\n==> b.log <==\ntwo\n3\n");
  stop.abort();
  await following;
});

test("following ends when the lab is removed", async () => {
  await followFiles("/nowhere", new Map([["a.log", 0]]), { out: () => assert.fail("nothing is there") });
});
