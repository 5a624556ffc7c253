/** `make demo`: arguments, signals, files, exit code: 0 all faults passed, 1 not, 2 usage or an unfit machine. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runProgram } from "@isthmus/lab";
import { runDemo } from "./demo.js";
import { type DemoOptions, parseOptions, USAGE } from "./options.js";
import { createProgress } from "./progress.js";
import { hints } from "./report/hints.js";
import { reportHtml } from "./report/html.js";
import { reportJson } from "./report/json.js";
import { reportText } from "./report/table.js";
import { logsFolder } from "./rigs/alone.js";

async function run(options: DemoOptions, signal: AbortSignal): Promise<number> {
  const progress = createProgress({
    terminal: process.stderr.isTTY === true,
    write: (text) => void process.stderr.write(text),
  });
  const modules = { say: progress.say, onMark: progress.mark, onLog: progress.watch, signal };
  const report = await runDemo(options, modules).finally(progress.stop);
  await mkdir(options.out, { recursive: true });
  await writeFile(join(options.out, "demo.json"), reportJson(report));
  await writeFile(join(options.out, "demo.html"), reportHtml(report));
  process.stdout.write(reportText(report));
  for (const hint of hints(report.faults, logsFolder(options.out), options.kind)) process.stdout.write(`${hint}\n`);
  process.stderr.write(`The report: ${join(options.out, "demo.html")}, ${join(options.out, "demo.json")}\n`);
  return report.passed ? 0 : 1;
}

await runProgram(process.argv.slice(2), { usage: USAGE, parse: parseOptions, run });
