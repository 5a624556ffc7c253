/** The command line of the demo. */
import { parseArgs } from "node:util";
import { FAULT_NAMES, type FaultName, LAB_FAULTS } from "./judge/runs.js";

export interface DemoOptions {
  readonly lab: string;
  /** On the clusters of deploy/kind instead of a lab. */
  readonly kind: boolean;
  readonly faults: readonly FaultName[];
  readonly keep: boolean;
  /** Folder for demo.json and demo.html. */
  readonly out: string;
  readonly rate: number;
  readonly help: boolean;
}

export const USAGE = `usage: demo [--faults NAME,NAME…] [--keep] [--lab NAME | --kind] [--out DIR]

  --faults   some of ${FAULT_NAMES.join(", ")} (default: all; on kind all
             but ${LAB_FAULTS.join(", ")}, which only a lab can have)
  --keep     leave the lab up; "mesh lab down --name NAME" ends it
  --lab      the lab's name (default: demo); one that is up is used, and stays up
  --kind     on the clusters that deploy/kind/up.sh made; deploy/kind/demo.sh starts it so
  --out      where demo.json and demo.html go (default: out)
`;

/** Throws an error with a sentence when an argument is invalid. */
export function parseOptions(argv: readonly string[]): DemoOptions {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      faults: { type: "string" },
      keep: { type: "boolean", default: false },
      lab: { type: "string" },
      kind: { type: "boolean", default: false },
      out: { type: "string", default: "out" },
      help: { type: "boolean", default: false, short: "h" },
    },
  });
  const faults = faultsOf(values.faults, values.kind ? onKind : FAULT_NAMES);
  const { kind, keep, out, help, lab } = values;
  if (kind && (keep || lab !== undefined))
    throw new Error("--keep and --lab are for labs: kind clusters stay up until down.sh");
  return { lab: lab ?? "demo", kind, faults, keep, out, rate: 100, help };
}

const onKind = FAULT_NAMES.filter((name) => !LAB_FAULTS.includes(name));

function faultsOf(text: string | undefined, available: readonly FaultName[]): readonly FaultName[] {
  if (text === undefined) return available;
  const words = text.split(",").filter((word) => word !== "");
  const known = words.filter((word): word is FaultName => (available as readonly string[]).includes(word));
  const unknown = words.find((word) => !(available as readonly string[]).includes(word));
  if (unknown !== undefined) throw new Error(`No fault "${unknown}": choose from ${available.join(", ")}`);
  if (known.length === 0) throw new Error("Name at least one fault");
  return known;
}
