import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { identify } from "@isthmus/lab";
import { useExclusively } from "./exclusive-use.js";

async function rig(t: TestContext) {
  const root = await mkdtemp(join(tmpdir(), "isthmus-use-"));
  t.after(() => rm(root, { recursive: true }));
  return { name: 'lab "demo"', alternative: "use another", useFile: join(root, "demo.json") };
}

test("a second demo in the same rig is refused while the first runs", async (t) => {
  const lab = await rig(t);
  const first = await useExclusively(lab);
  await assert.rejects(useExclusively(lab), {
    code: "RIG_IN_USE",
    message: `Another demo (pid ${process.pid}) runs in lab "demo": wait for its end, or use another`,
  });
  await assert.rejects(useExclusively({ ...lab, alternative: "" }), { message: /: wait for its end$/ });
  await first.end();
  const second = await useExclusively(lab);
  await second.end();
});

test("a demo that was killed, and whose pid is reused, does not block the next", async (t) => {
  const lab = await rig(t);
  const me = identify(process.pid);
  for (const text of ["", "{", JSON.stringify({ ...me, startTicks: (me?.startTicks ?? 0) - 1 })]) {
    await writeFile(lab.useFile, text);
    await (await useExclusively(lab)).end();
  }
});
