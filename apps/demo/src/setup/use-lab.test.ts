import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { identify, type LabHandle } from "@isthmus/lab";
import { useLab } from "./use-lab.js";

test("a second demo in the same lab is refused while the first lives", async (t) => {
  const root = await mkdtemp(join(tmpdir(), "isthmus-use-"));
  t.after(() => rm(root, { recursive: true }));
  const lab = { plan: { name: "demo" }, paths: { root } } as Pick<LabHandle, "plan" | "paths">;
  const first = await useLab(lab);
  await assert.rejects(useLab(lab), {
    code: "LAB_IN_USE",
    message: `Another demo (pid ${process.pid}) runs in lab "demo": wait for its end, or use another lab: --lab NAME`,
  });
  await first.end();
  const second = await useLab(lab);
  await second.end();
});

test("one that was killed, whose pid somebody else has now, holds nobody up", async (t) => {
  const root = await mkdtemp(join(tmpdir(), "isthmus-use-"));
  t.after(() => rm(root, { recursive: true }));
  const lab = { plan: { name: "demo" }, paths: { root } } as Pick<LabHandle, "plan" | "paths">;
  const me = identify(process.pid);
  for (const text of ["", "{", JSON.stringify({ ...me, startTicks: (me?.startTicks ?? 0) - 1 })]) {
    await writeFile(join(root, "demo.json"), text);
    await (await useLab(lab)).end();
  }
});
