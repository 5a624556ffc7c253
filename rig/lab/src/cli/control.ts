/** `lab stop|start|kill`, `lab wipe` and `lab load-image`: requests to the supervisor. */
import { resolve } from "node:path";
import { openLab } from "../life/handle.js";
import { controlProcess, loadImage, wipe } from "../life/status.js";
import { labError } from "../plan/errors.js";
import { unsupervisedError } from "../supervise/client.js";
import { type ProcessRow, sameProcess } from "../supervise/process-table.js";
import type { LabArguments } from "./arguments.js";
import type { LabIo } from "./io.js";
import { checkPlace } from "../plan/place.js";
import { knownRole } from "./role.js";

export async function runControl(args: LabArguments, io: LabIo): Promise<number> {
  const role = knownRole(args);
  const { command } = args;
  if (command !== "stop" && command !== "start" && command !== "kill")
    throw labError("USAGE", `Unknown action "${command}"`);
  const lab = await openLab(args.name);
  const where = checkPlace(lab.plan, args);
  const before = await lab.client.rows();
  report(args, io, await controlProcess(args.name, command, { role, ...where }), before);
  if (role === "lab") io.err(`${unsupervisedError(args.name).message}\n`);
  return 0;
}

export async function runWipe(args: LabArguments, io: LabIo): Promise<number> {
  report(args, io, await wipe(args.name, knownRole(args)));
  return 0;
}

export async function runLoadImage(args: LabArguments, io: LabIo): Promise<number> {
  checkPlace((await openLab(args.name)).plan, args);
  const nodes = await loadImage(args.name, resolve(args.operands[0] ?? ""), args.cluster);
  io.out(args.json ? `${JSON.stringify({ nodes })}\n` : `Imported on ${nodes.join(", ")}\n`);
  return 0;
}

function report(args: LabArguments, io: LabIo, rows: readonly ProcessRow[], before: readonly ProcessRow[] = []): void {
  if (args.json) {
    io.out(`${JSON.stringify(rows, null, 2)}\n`);
    return;
  }
  for (const row of rows) io.out(`${resultLine(args.command, row, before)}\n`);
}

const PAST: Readonly<Record<string, string>> = { stop: "stopped", start: "started", kill: "killed", wipe: "wiped" };

/** One line about one process. `before`: the rows before the command, to report a command that changed nothing as such. */
export function resultLine(command: string, row: ProcessRow, before: readonly ProcessRow[]): string {
  const was = before.find((one) => sameProcess(one, row));
  const name = `${[row.role, row.node || row.cluster].filter(Boolean).join(" ")}${row.pid === 0 ? "" : ` (pid ${row.pid})`}`;
  if (command === "start" && row.pid !== 0 && was?.pid === row.pid) return `${name} runs already`;
  if (command === "stop" && was?.status === "Held") return `${name} was stopped already`;
  return `${PAST[command] ?? command} ${name}`;
}
