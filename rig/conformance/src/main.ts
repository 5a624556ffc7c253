/** `make conformance`: arguments, signals, files, exit code: 0 all passed or known to fail, 1 not, 2 usage or an unfit machine. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { cpus, loadavg, release } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runProgram } from "@isthmus/lab";
import { runConformance } from "./conformance.js";
import { type ConformanceOptions, parseOptions, USAGE } from "./options.js";
import { withSection } from "./report/page.js";
import type { Report } from "./report/report.js";
import { reportJson, reportText } from "./report/text.js";

const PAGE = fileURLToPath(new URL("../../../docs/conformance.md", import.meta.url));

async function run(options: ConformanceOptions, signal: AbortSignal): Promise<number> {
  const begun = performance.now();
  const say = (sentence: string) => {
    const seconds = ((performance.now() - begun) / 1000).toFixed(1).padStart(6);
    process.stderr.write(`${seconds} s  ${sentence}\n`);
  };
  const report = await runConformance(options, { say, signal });
  const date = new Date();
  await mkdir(options.out, { recursive: true });
  const file = join(options.out, "conformance.json");
  const machine = { cpus: cpus().length, kernel: release(), date, load: loadavg()[0] };
  await writeFile(file, reportJson(report, machine));
  process.stdout.write(reportText(report));
  process.stderr.write(`The report: ${file}; the output of each spec: ${join(options.out, "conformance")}\n`);
  if (options.write) await writePage(report, date);
  return report.passed ? 0 : 1;
}

async function writePage(report: Report, date: Date): Promise<void> {
  if (report.missing.length > 0) {
    process.stderr.write("docs/conformance.md stays as it is: not all specs ran\n");
    return;
  }
  const kernel = /^\d+\.\d+/.exec(release())?.[0] ?? release();
  await writeFile(PAGE, withSection(await readFile(PAGE, "utf8"), report, { kernel, date }));
}

await runProgram(process.argv.slice(2), { usage: USAGE, parse: parseOptions, run });
