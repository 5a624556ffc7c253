/**
 * Runs a focus of Kubernetes' end-to-end suite in a lab of one cluster with two nodes.
 *
 * Out: a report of what ran, also when it ended early.
 */
import { cp, mkdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { buildImage, loadImage, openLab, resolveE2ePrograms, useLab } from "@isthmus/lab";
import { specsOf } from "./focuses.js";
import type { ConformanceOptions } from "./options.js";
import { readKnownFailures } from "./report/known-failures.js";
import { makeReport, type Report } from "./report/report.js";
import { type RunModules, runSpecs } from "./run-specs.js";
import { createE2eSuite, suiteImages } from "./suite/e2e-suite.js";

export async function runConformance(options: ConformanceOptions, modules: RunModules): Promise<Report> {
  const { focus, only, lab: name, keep } = options;
  const { say, signal } = modules;
  const known = await readKnownFailures();
  const programs = await resolveE2ePrograms({ onProgress: say, signal });
  const image = await agnhostImage(programs.e2e, programs.agnhost);
  const out = join(resolve(options.out), "conformance");
  await rm(out, { recursive: true, force: true });
  await mkdir(out, { recursive: true });
  const shape = { name, clusters: ["east"], nodes: 2, bare: false };
  const used = await useLab(shape, { keep, onProgress: say, signal });
  try {
    const lab = await openLab(name);
    const cluster = lab.plan.clusters[0]?.name ?? "";
    await loadImage(name, image, cluster);
    const { kubeconfig } = lab;
    const suite = createE2eSuite({
      program: programs.e2e,
      kubectl: join(lab.bin, "kubectl"),
      kubeconfig,
      context: cluster,
      out,
    });
    const all = await suite.specNames();
    const specs = specsOf(focus, all).filter((spec) => only?.test(spec) !== false);
    if (specs.length === 0) throw new Error("No spec of the focus matches --only");
    say(`Specs of ${focus.name}, Kubernetes ${programs.version}: ${specs.length}`);
    const ran = await runSpecs(suite, specs, modules);
    const report = makeReport({ focus: focus.name, version: programs.version, specs, suite: all, ...ran }, known);
    // A lab deletes its logs when it is taken down.
    if (!report.passed) await cp(lab.paths.logs, join(out, "lab-logs"), { recursive: true });
    return report;
  } finally {
    await used.release();
  }
}

/** Archive of the image that the pods of the specs run, under the name that the suite gives it. */
async function agnhostImage(e2e: string, agnhost: string): Promise<string> {
  const tag = (await suiteImages(e2e)).find((image) => /\/e2e-test-images\/agnhost:/.test(image));
  if (tag === undefined) throw new Error("The suite lists no image agnhost");
  const files = [{ path: "/agnhost", source: agnhost, mode: 0o755 }];
  return await buildImage({ tag, files, entrypoint: ["/agnhost"], cmd: ["pause"] });
}
