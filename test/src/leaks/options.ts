/** The command line of the leak test. */
import { parseArgs } from "node:util";
import { BROKEN_MESHES } from "./broken.js";

export interface LeakOptions {
  readonly lab: string;
  readonly seconds: number;
  readonly seed: number;
  /** New connections a second of each of the four clients. */
  readonly rate: number;
  readonly keep: boolean;
  /** Meshes that are broken on purpose instead of changes at random; empty: none. */
  readonly broken: readonly string[];
  /** Folder for leaks.json and what was found at each violation. */
  readonly out: string;
  readonly help: boolean;
}

export const USAGE = `usage: leaks [--minutes N] [--seed N] [--rate N] [--broken NAME] [--keep] [--lab NAME] [--out DIR]

  --minutes  for how long (default: 5); 0.5 is half a minute
  --seed     of the changes (default: another one each time, which is printed)
  --rate     new connections a second of each of the four clients (default: 50)
  --broken   breaks the mesh on purpose instead, and fails unless that is found: all, or one of
             ${Object.keys(BROKEN_MESHES).join(", ")}
  --keep     leaves the lab up; "mesh lab down --name NAME" ends it
  --lab      the lab's name (default: leaks)
  --out      where leaks.json goes, and what was found at each violation (default: out)
`;

const LONGEST_MINUTES = 24 * 60;
const MOST_RATE = 1000;
const MOST_SEED = 2 ** 31;

/** Throws an error with a sentence when an argument is invalid. */
export function parseOptions(argv: readonly string[], anySeed: () => number): LeakOptions {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      minutes: { type: "string", default: "5" },
      seed: { type: "string" },
      rate: { type: "string", default: "50" },
      broken: { type: "string" },
      keep: { type: "boolean", default: false },
      lab: { type: "string", default: "leaks" },
      out: { type: "string", default: "out" },
      help: { type: "boolean", default: false, short: "h" },
    },
  });
  const { lab, keep, out, help } = values;
  const minutes = Number(values.minutes);
  if (!(minutes > 0 && minutes <= LONGEST_MINUTES))
    throw new Error(`Cannot use "${values.minutes}" for --minutes: write a number above 0, at most ${LONGEST_MINUTES}`);
  const seed = values.seed === undefined ? anySeed() : wholeNumber("--seed", values.seed, 0, MOST_SEED);
  const rate = wholeNumber("--rate", values.rate, 10, MOST_RATE);
  const broken = brokenMeshes(values.broken);
  return { lab, seconds: minutes * 60, seed, rate, broken, keep, out, help };
}

function brokenMeshes(name: string | undefined): readonly string[] {
  if (name === undefined) return [];
  const all = Object.keys(BROKEN_MESHES);
  if (name !== "all" && !all.includes(name))
    throw new Error(`Cannot use "${name}" for --broken: write all, or one of ${all.join(", ")}`);
  return name === "all" ? all : [name];
}

function wholeNumber(option: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new Error(`Cannot use "${text}" for ${option}: write a whole number from ${least} to ${most}`);
}
