/** `lab fault …`: puts a fault in force, lists those in force, ends them before their time. */
import { table } from "@isthmus/model";
import { clearFaults, type FaultRow, listFaults, startFault } from "../life/faults.js";
import { labError } from "../plan/errors.js";
import type { LabArguments } from "./arguments.js";
import { parseFault } from "./fault-arguments.js";
import type { LabIo } from "./io.js";

const HEADER = ["ID", "FAULT", "LEFT"];

export async function runFault(args: LabArguments, io: LabIo): Promise<number> {
  const [verb = "", ...words] = args.operands;
  if (verb !== "clear" && args.all) throw labError("USAGE", `"lab fault ${verb}" has no option --all`);
  if (verb === "list") return await list(args, words, io);
  if (verb === "clear") return await clear(args, words, io);
  const row = await startFault(args.name, parseFault(args.operands, args.oneWay), args.forMs);
  const sentence = `Fault ${row.id} (${row.fault}) is in force for ${seconds(row.endsAtMs - row.beganAtMs)}; "mesh lab fault clear ${row.id}" ends it before\n`;
  io.out(args.json ? `${JSON.stringify(row, null, 2)}\n` : sentence);
  return 0;
}

async function list(args: LabArguments, words: readonly string[], io: LabIo): Promise<number> {
  if (words.length > 0) throw labError("USAGE", `"lab fault list" takes no arguments`);
  const { faults, orphans } = await listFaults(args.name);
  for (const { id, fault } of orphans) io.err(`Fault ${id} (${fault}) is over: its guard had been killed\n`);
  if (args.json) io.out(`${JSON.stringify(faults, null, 2)}\n`);
  else io.out(faults.length === 0 ? `Lab "${args.name}" has no fault\n` : describeFaults(faults));
  return 0;
}

async function clear(args: LabArguments, words: readonly string[], io: LabIo): Promise<number> {
  const rows = await clearFaults(args.name, idOf(words, args.all));
  if (args.json) io.out(`${JSON.stringify(rows, null, 2)}\n`);
  else if (rows.length === 0) io.out(`Lab "${args.name}" has no fault\n`);
  else for (const { id, fault } of rows) io.out(`Fault ${id} (${fault}) is over\n`);
  return 0;
}

/** Undefined: all faults. */
function idOf([word, ...more]: readonly string[], all: boolean): number | undefined {
  if (more.length > 0) throw labError("USAGE", `"lab fault clear" takes one ID, or none for all`);
  if (word === undefined) return undefined;
  if (all) throw labError("USAGE", `Choose between --all and the fault ${word}`);
  if (!/^\d{1,5}$/.test(word))
    throw labError("USAGE", `Cannot use "${word}" for ID: write one that "lab fault list" shows`);
  return Number(word);
}

function describeFaults(rows: readonly FaultRow[]): string {
  return table(
    rows.map(({ id, fault, leftMs }) => [String(id), fault, seconds(leftMs)]),
    HEADER,
  );
}

/** "2.5s", "30s" */
function seconds(ms: number): string {
  return `${Number((ms / 1000).toFixed(1))}s`;
}
