/** `make drills`: arguments, signals, files, exit code: 0 all runs passed, 1 not, 2 usage or an unfit machine. */
import { mkdir, writeFile } from "node:fs/promises";
import { cpus, loadavg, release } from "node:os";
import { join } from "node:path";
import { createProgress } from "@isthmus/demo";
import { runProgram } from "@isthmus/lab";
import { clientsJson, clientsText } from "./clients/report.js";
import { runClients, runDrills } from "./drills.js";
import { type DrillOptions, parseOptions, USAGE } from "./options.js";
import { type RunReport, reportJson, reportText } from "./report.js";

async function run(options: DrillOptions, signal: AbortSignal): Promise<number> {
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
    signal,
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

await runProgram(process.argv.slice(2), { usage: USAGE, parse: parseOptions, run });
