/** The command line of the drills. */
import { parseArgs } from "node:util";
import { DRILLS } from "./faults/drills.js";

export interface DrillOptions {
  readonly lab: string;
  readonly faults: readonly string[];
  readonly runs: number;
  /** Real HTTP clients through a kill, instead of the faults. */
  readonly clients: boolean;
  readonly keep: boolean;
  /** Prints JSON instead of the table. */
  readonly json: boolean;
  /** Folder for drills.json. */
  readonly out: string;
  readonly help: boolean;
}

const NAMES = DRILLS.map(({ name }) => name);
const MOST_RUNS = 1000;

export const USAGE = `usage: drills [--runs N] [--faults NAME,NAME… | --clients] [-o json] [--keep] [--lab NAME] [--out DIR]

  --runs     how often each fault is driven (default: 20)
  --faults   some of ${NAMES.join(", ")}
             (default: all)
  --clients  instead of the faults: SIGKILL of all of east's servers while curl and the HTTP clients
             of Go, Java and Node use them; those whose tool is in PATH
  -o json    prints JSON instead of the table
  --keep     leaves the lab up; "mesh lab down --name NAME" ends it
  --lab      the lab's name (default: drills); one that is up is used, and stays up
  --out      where drills.json goes (default: out)
`;

/** Throws an error with a sentence when an argument is invalid. */
export function parseOptions(argv: readonly string[]): DrillOptions {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      runs: { type: "string", default: "20" },
      faults: { type: "string" },
      clients: { type: "boolean", default: false },
      output: { type: "string", short: "o" },
      keep: { type: "boolean", default: false },
      lab: { type: "string", default: "drills" },
      out: { type: "string", default: "out" },
      help: { type: "boolean", default: false, short: "h" },
    },
  });
  const { lab, keep, out, help, output, clients } = values;
  if (clients && values.faults !== undefined)
    throw new Error("Give --faults or --clients: clients have a fault of their own");
  if (output !== undefined && output !== "json") throw new Error(`Cannot print "${output}": -o has only json`);
  return {
    lab,
    faults: faultsOf(values.faults),
    runs: runsOf(values.runs),
    clients,
    keep,
    json: output === "json",
    out,
    help,
  };
}

function runsOf(text: string): number {
  const runs = Number(text);
  if (Number.isInteger(runs) && runs >= 1 && runs <= MOST_RUNS) return runs;
  throw new Error(`Cannot use "${text}" for --runs: write a whole number from 1 to ${MOST_RUNS}`);
}

function faultsOf(text: string | undefined): readonly string[] {
  if (text === undefined) return NAMES;
  const words = text.split(",").filter((word) => word !== "");
  const unknown = words.find((word) => !NAMES.includes(word));
  if (unknown !== undefined) throw new Error(`No fault "${unknown}": choose from ${NAMES.join(", ")}`);
  if (words.length === 0) throw new Error("Name at least one fault");
  return words;
}
