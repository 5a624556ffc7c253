/** The command line of `make conformance`. */
import { parseArgs } from "node:util";
import { FOCUSES, type Focus } from "./focuses.js";

export interface ConformanceOptions {
  readonly focus: Focus;
  /** Only specs of the focus whose name matches; all when absent. */
  readonly only?: RegExp;
  /** Writes docs/conformance.md when all specs of the focus ran. */
  readonly write: boolean;
  readonly lab: string;
  readonly keep: boolean;
  /** Folder for conformance.json and the output of each spec. */
  readonly out: string;
  readonly help: boolean;
}

const NAMES = FOCUSES.map(({ name }) => name).join(", ");

export const USAGE = `usage: conformance [--focus NAME] [--only REGEX] [--write] [--keep] [--lab NAME] [--out DIR]

  --focus  which part of Kubernetes' end-to-end suite: ${NAMES} (default: ${FOCUSES[0]?.name})
  --only   only specs whose name matches, such as "default-deny"
  --write  writes the results into docs/conformance.md; not with --only
  --keep   leaves the lab up; "mesh lab down --name NAME" ends it
  --lab    the lab's name (default: conformance); one that is up is used, in its first cluster, and stays up
  --out    where conformance.json and conformance/, the output of each spec, go (default: out)
`;

/** Throws an error with a sentence when an argument is invalid. */
export function parseOptions(argv: readonly string[]): ConformanceOptions {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      focus: { type: "string" },
      only: { type: "string" },
      write: { type: "boolean", default: false },
      keep: { type: "boolean", default: false },
      lab: { type: "string", default: "conformance" },
      out: { type: "string", default: "out" },
      help: { type: "boolean", default: false, short: "h" },
    },
  });
  const { only, write, keep, lab, out, help } = values;
  if (write && only !== undefined) throw new Error("Give --write or --only: the page has all specs of a focus");
  return {
    focus: focusOf(values.focus),
    ...(only === undefined ? {} : { only: pattern(only) }),
    write,
    keep,
    lab,
    out,
    help,
  };
}

function focusOf(name: string | undefined): Focus {
  const focus = name === undefined ? FOCUSES[0] : FOCUSES.find((each) => each.name === name);
  if (focus === undefined) throw new Error(`No focus "${name}": choose from ${NAMES}`);
  return focus;
}

function pattern(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (cause) {
    throw new Error(`Cannot use "${text}" for --only: write a regular expression`, { cause });
  }
}
