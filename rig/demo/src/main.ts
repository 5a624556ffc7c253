/** `make demo`: arguments, signals, files, exit code: 0 all faults passed, 1 not, 2 usage or an unfit machine. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MeshError } from "@isthmus/model";
import { runDemo } from "./demo.js";
import { type DemoOptions, parseOptions, USAGE } from "./options.js";
import { createProgress } from "./progress.js";
import { hints } from "./report/hints.js";
import { reportHtml } from "./report/html.js";
import { reportJson } from "./report/json.js";
import { reportText } from "./report/table.js";
import { logsFolder } from "./rigs/alone.js";

async function main(options: DemoOptions): Promise<number> {
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => stop.abort(new Error("interrupted")));
  const progress = createProgress({
    terminal: process.stderr.isTTY === true,
    write: (text) => void process.stderr.write(text),
  });
  const modules = { say: progress.say, onMark: progress.mark, onLog: progress.watch, signal: stop.signal };
  const report = await runDemo(options, modules).finally(progress.stop);
  await mkdir(options.out, { recursive: true });
  await writeFile(join(options.out, "demo.json"), reportJson(report));
  await writeFile(join(options.out, "demo.html"), reportHtml(report));
  process.stdout.write(reportText(report));
  for (const hint of hints(report.faults, logsFolder(options.out), options.kind)) process.stdout.write(`${hint}\n`);
  process.stderr.write(`The report: ${join(options.out, "demo.html")}, ${join(options.out, "demo.json")}\n`);
  return report.passed ? 0 : 1;
}

function read(argv: readonly string[]): DemoOptions | number {
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
