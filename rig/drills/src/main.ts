/** `make drills`: arguments, signals, files, exit code: 0 all runs passed, 1 not, 2 usage or an unfit machine. */
import { mkdir, writeFile } from "node:fs/promises";
import { cpus, loadavg, release } from "node:os";
import { join } from "node:path";
import { createProgress } from "@isthmus/demo";
import { MeshError } from "@isthmus/model";
import { clientsJson, clientsText } from "./clients/report.js";
import { runClients, runDrills } from "./drills.js";
import { type DrillOptions, parseOptions, USAGE } from "./options.js";
import { type RunReport, reportJson, reportText } from "./report.js";

async function main(options: DrillOptions): Promise<number> {
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => stop.abort(new Error("interrupted")));
  const progress = createProgress({
    terminal: process.stderr.isTTY === true,
    write: (text) => void process.stderr.write(text),
  });
  const machine = {
    cpus: cpus().length,
    model: cpus()[0]?.model,
    kernel: release(),
    date: new Date(),
    load: loadavg()[0],
  };
  const modules = {
    say: progress.say,
    onMark: progress.mark,
    onLog: progress.watch,
    onRun: (run: RunReport) => progress.say(sentenceOf(run)),
    signal: stop.signal,
  };
  const { passed, text, json } = await (options.clients
    ? runClients(options, modules).then((report) => ({
        passed: report.passed,
        text: clientsText(report),
        json: clientsJson(report, machine),
      }))
    : runDrills(options, modules).then((report) => ({
        passed: report.passed,
        text: reportText(report),
        json: reportJson(report, machine),
      }))
  ).finally(progress.stop);
  await mkdir(options.out, { recursive: true });
  await writeFile(join(options.out, "drills.json"), json);
  process.stdout.write(options.json ? json : text);
  process.stderr.write(`The report: ${join(options.out, "drills.json")}\n`);
  return passed ? 0 : 1;
}

function sentenceOf(run: RunReport): string {
  const { fault, round, requests, refused, timedOut, ended, slowestConnectMs, load, starved, failures } = run;
  const result = starved === null ? failures.join("; ") || "passed" : `not counted: ${starved}`;
  return `${fault} of round ${round}: ${requests} requests, ${refused} refused, ${timedOut} timed out, ${ended} ended, slowest connect ${slowestConnectMs} ms, load ${load}: ${result}`;
}

function read(argv: readonly string[]): DrillOptions | number {
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
