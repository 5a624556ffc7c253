/** `lab stop|start|kill`, `lab wipe` and `lab load-image`: requests to the supervisor. */
import { resolve } from "node:path";
import { openLab } from "../life/handle.js";
import { controlProcess, loadImage, wipe } from "../life/status.js";
import { labError } from "../plan/errors.js";
import type { ProcessRow } from "../supervise/process-table.js";
import type { LabArguments } from "./arguments.js";
import type { LabIo } from "./io.js";
import { checkPlace } from "./place.js";
import { knownRole } from "./role.js";

export async function runControl(args: LabArguments, io: LabIo): Promise<number> {
  const role = knownRole(args);
  const { command } = args;
  if (command !== "stop" && command !== "start" && command !== "kill")
    throw labError("USAGE", `Unknown action "${command}"`);
  const where = checkPlace((await openLab(args.name)).plan, args);
  report(args, io, await controlProcess(args.name, command, { role, ...where }));
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

function report(args: LabArguments, io: LabIo, rows: readonly ProcessRow[]): void {
  if (args.json) {
    io.out(`${JSON.stringify(rows, null, 2)}\n`);
    return;
  }
  const past =
    { stop: "stopped", start: "started", kill: "killed", wipe: "wiped" }[args.command as string] ?? args.command;
  for (const row of rows) {
    const name = [row.role, row.node || row.cluster].filter(Boolean).join(" ");
    io.out(`${past} ${name}${row.pid === 0 ? "" : ` (pid ${row.pid})`}\n`);
  }
}
