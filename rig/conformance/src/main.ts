/** `make conformance`: arguments, signals, files, exit code: 0 all passed or known to fail, 1 not, 2 usage or an unfit machine. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { cpus, loadavg, release } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MeshError } from "@isthmus/model";
import { runConformance } from "./conformance.js";
import { type ConformanceOptions, parseOptions, USAGE } from "./options.js";
import { withSection } from "./report/page.js";
import type { Report } from "./report/report.js";
import { reportJson, reportText } from "./report/text.js";

const PAGE = fileURLToPath(new URL("../../../docs/conformance.md", import.meta.url));

async function main(options: ConformanceOptions): Promise<number> {
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => stop.abort(new Error("interrupted")));
  const begun = performance.now();
  const say = (sentence: string) => {
    const seconds = ((performance.now() - begun) / 1000).toFixed(1).padStart(6);
    process.stderr.write(`${seconds} s  ${sentence}\n`);
  };
  const report = await runConformance(options, { say, signal: stop.signal });
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

function read(argv: readonly string[]): ConformanceOptions | number {
  try {
    const options = parseOptions(argv);
    if (!options.help) return options;
    process.stdout.write(USAGE);
    return 0;
  } catch (error) {
    process.stderr.write(`${MeshError.from(error).message}\n${USAGE}`);
    return 2;
  }
}

const options = read(process.argv.slice(2));
process.exitCode =
  typeof options === "number"
    ? options
    : await main(options).catch((thrown: unknown) => {
        const error = MeshError.from(thrown);
        process.stderr.write(`${error.message}\n`);
        return error.code === "UNFIT" ? 2 : 1;
      });
