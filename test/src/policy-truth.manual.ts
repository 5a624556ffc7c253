/** The truth tables of policies by real connections between pods of two clusters, in a lab of its own. `make truth-tables` runs it. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type KeptLab, keepLab, loadImage, openLab } from "@isthmus/lab";
import { eventually } from "./e2e/eventually.js";
import { compileProbe, probeImage } from "./e2e/probe-image.js";
import { meshOf } from "./e2e/world.js";
import { parseGrid } from "./policy-truth/grid.js";
import { openTruthLab, type TruthLab } from "./policy-truth/lab.js";
import { CLUSTERS } from "./policy-truth/pods.js";
import { TABLES } from "./policy-truth/tables.js";

const NAME = `truth-${process.pid}`;

let kept: KeptLab;
let folder: string;
let lab: TruthLab | undefined;
before(async () => {
  kept = await keepLab({ name: NAME, clusters: [...CLUSTERS], nodes: 2, bare: false, datapathMode: "packets" });
  const handle = await openLab(NAME);
  folder = await mkdtemp(join(tmpdir(), "isthmus-truth-"));
  await loadImage(NAME, await probeImage());
  const mesh = meshOf(handle);
  for (const args of [
    ["connect", ...CLUSTERS],
    ["status", "--wait", "--timeout", "60s"],
  ]) {
    const ran = await mesh(...args);
    assert.equal(ran.code, 0, ran.err);
  }
  lab = await openTruthLab(handle, await compileProbe(folder));
});
after(async () => {
  lab?.close();
  await rm(folder, { recursive: true, force: true });
  await kept?.release();
});

describe("real connections say what each truth table does", () => {
  for (const { name, steps } of TABLES)
    test(name, async () => {
      assert.ok(lab);
      const { change, grid, refused, reset } = lab;
      await reset();
      for (const { text, changes, reach, ...step } of steps) {
        for (const one of changes) await change(one);
        const [last] = changes.slice(-1);
        if (step.refused !== undefined && last !== undefined && "apply" in last)
          await refused(last.apply, last.in ?? "solo", step.refused);
        const wanted = parseGrid(reach);
        await eventually(`${text}\n${wanted}\n`, grid, (seen) => seen === wanted, 30_000);
      }
    });
});
