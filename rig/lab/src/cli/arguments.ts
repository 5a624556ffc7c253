/** Parses the arguments of `mesh lab …` into command, operands and options. Pure; an invalid argument is a `USAGE` error. */
import { parseArgs } from "node:util";
import { durationMs, MeshError } from "@isthmus/model";
import { DEFAULT_FAULT_MS } from "../faults/fault.js";
import { labError } from "../plan/errors.js";
import type { DatapathMode } from "../plan/plan.js";

export const COMMANDS = [
  "up",
  "down",
  "list",
  "ps",
  "stop",
  "start",
  "kill",
  "wipe",
  "env",
  "exec",
  "load-image",
  "logs",
  "fault",
] as const;
export type Command = (typeof COMMANDS)[number];

export interface LabArguments {
  readonly command: Command;
  readonly operands: readonly string[];
  /** The arguments after `--`. */
  readonly rest: readonly string[];
  readonly name: string;
  readonly json: boolean;
  readonly clusters: readonly string[];
  readonly nodes: number;
  readonly cluster?: string;
  readonly node?: string;
  readonly bare: boolean;
  readonly datapathMode?: DatapathMode;
  readonly all: boolean;
  readonly tail: number;
  readonly follow: boolean;
  /** How long a fault lasts. */
  readonly forMs: number;
  readonly oneWay: boolean;
}

const OPTIONS = {
  name: { type: "string", default: "lab" },
  output: { type: "string", short: "o" },
  clusters: { type: "string", default: "east,west" },
  nodes: { type: "string", default: "2" },
  cluster: { type: "string" },
  node: { type: "string" },
  bare: { type: "boolean", default: false },
  "datapath-mode": { type: "string" },
  all: { type: "boolean", default: false },
  tail: { type: "string", default: "0" },
  follow: { type: "boolean", short: "f", default: false },
  for: { type: "string" },
  "one-way": { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const;

/** How many operands each command takes; undefined where that depends on the first. */
const OPERANDS: Readonly<Record<Command, number | undefined>> = {
  up: 0,
  down: 0,
  list: 0,
  ps: 0,
  stop: 1,
  start: 1,
  kill: 1,
  wipe: 1,
  env: 0,
  exec: 2,
  "load-image": 1,
  logs: 1,
  fault: undefined,
};

/** Options that only some commands take. All commands take the others: --name, -o, --help. */
const OWN_OPTIONS: Readonly<Record<string, readonly Command[]>> = {
  clusters: ["up"],
  nodes: ["up"],
  bare: ["up"],
  "datapath-mode": ["up"],
  cluster: ["stop", "start", "kill", "ps", "load-image", "logs"],
  node: ["stop", "start", "kill", "ps", "logs"],
  all: ["ps", "down", "fault"],
  tail: ["logs"],
  follow: ["logs"],
  for: ["fault"],
  "one-way": ["fault"],
  name: COMMANDS.filter((name) => name !== "list"),
};

function datapathMode(text: string | undefined): Pick<LabArguments, "datapathMode"> {
  if (text === undefined) return {};
  if (text === "sockets" || text === "packets") return { datapathMode: text };
  throw labError("USAGE", `--datapath-mode is "${text}", write "sockets" or "packets"`);
}

/** Returns undefined when help is requested. */
export function parseLabArguments(argv: readonly string[]): LabArguments | undefined {
  const cut = argv.indexOf("--");
  const words = cut < 0 ? argv : argv.slice(0, cut);
  const { values, positionals, tokens } = parse(words);
  if (values.help || words.length === 0) return undefined;
  const [first, ...operands] = positionals;
  const command = COMMANDS.find((name) => name === first);
  if (command === undefined)
    throw labError("USAGE", `Unknown command "lab ${first ?? ""}": use one of ${COMMANDS.join(", ")}`);
  checkOperands(command, operands);
  const given = tokens.flatMap((token) => (token.kind === "option" ? [token.name] : []));
  checkOwnOptions(command, given);
  if (command === "down" && values.all && given.includes("name"))
    throw labError("USAGE", `Choose between --all and --name ${values.name}`);
  if (values.follow && values.output !== undefined)
    throw labError("USAGE", "What is followed has no end: leave -o out");
  if (values.output !== undefined && values.output !== "json")
    throw labError("USAGE", `Unknown output "${values.output}": use -o json`);
  return {
    command,
    operands,
    rest: cut < 0 ? [] : argv.slice(cut + 1),
    name: values.name,
    json: values.output === "json",
    clusters: values.clusters.split(",").filter(Boolean),
    nodes: wholeNumber("--nodes", values.nodes),
    ...(values.cluster === undefined ? {} : { cluster: values.cluster }),
    ...(values.node === undefined ? {} : { node: values.node }),
    bare: values.bare,
    ...datapathMode(values["datapath-mode"]),
    all: values.all,
    tail: wholeNumber("--tail", values.tail),
    follow: values.follow,
    forMs: values.for === undefined ? DEFAULT_FAULT_MS : duration("--for", values.for),
    oneWay: values["one-way"],
  };
}

function parse(words: readonly string[]) {
  try {
    return parseArgs({ args: [...words], options: OPTIONS, allowPositionals: true, tokens: true });
  } catch (error) {
    throw labError("USAGE", MeshError.from(error).message.split(/\.\s/)[0] ?? "Cannot read the options", error);
  }
}

function checkOperands(command: Command, operands: readonly string[]): void {
  const want = OPERANDS[command];
  if (want === undefined || operands.length === want) return;
  const words = want === 0 ? "no arguments" : want === 1 ? "one argument" : `${want} arguments`;
  throw labError("USAGE", `"lab ${command}" takes ${words}, not ${operands.length}; see "lab --help"`);
}

function checkOwnOptions(command: Command, given: readonly string[]): void {
  const wrong = given.find((option) => OWN_OPTIONS[option]?.includes(command) === false);
  if (wrong !== undefined) throw labError("USAGE", `"lab ${command}" has no option --${wrong}`);
}

function duration(option: string, text: string): number {
  const ms = durationMs(text);
  if (ms !== undefined) return ms;
  throw labError("USAGE", `Cannot use "${text}" for ${option}: write a duration from 100ms to 24h, such as 30s`);
}

function wholeNumber(option: string, text: string): number {
  if (!/^\d{1,4}$/.test(text)) throw labError("USAGE", `${option} needs a whole number, not "${text}"`);
  return Number(text);
}
