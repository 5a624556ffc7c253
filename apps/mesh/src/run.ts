/** Runs one command line, returns its exit code. Never throws: an error is a sentence on stderr, and with `-o json` JSON on stdout. */
import { lineText, MeshError } from "@isthmus/model";
import type { Command, Input } from "./cli/command.js";
import { startDeadline } from "./cli/deadline.js";
import { exitCodeOf, usageError } from "./cli/exit.js";
import { commandHelp, overview } from "./cli/help.js";
import { parseInput } from "./cli/parse.js";
import { COMMANDS } from "./commands/index.js";
import type { Io } from "./output/io.js";
import { errorOf, json } from "./output/json.js";

/** `argv`: without node and program. Returns the exit code; prints only through `io`. */
export async function runMesh(argv: readonly string[], io: Io): Promise<number> {
  try {
    return await dispatch(argv, io);
  } catch (thrown) {
    const error = MeshError.from(thrown);
    if (wantsJson(argv)) io.out(json(errorOf(error)));
    io.err(`${lineText(error.message)}\n`);
    if (io.env["MESH_DEBUG"] !== undefined) io.err(`${(error.cause as Error | undefined)?.stack ?? error.stack}\n`);
    return exitCodeOf(error, find(argv)?.errorExit);
  }
}

async function dispatch(argv: readonly string[], io: Io): Promise<number> {
  const command = find(argv);
  if (command === undefined) return general(argv, io);
  const rest = argv.slice(command.path.length);
  if (command.raw !== true && rest.slice(0, until(rest, "--")).some((word) => word === "--help" || word === "-h")) {
    io.out(commandHelp(command));
    return 0;
  }
  return runCommand(command, parseInput(command, rest), io);
}

function find(argv: readonly string[]): Command | undefined {
  return COMMANDS.find(({ path }) => path.every((word, i) => argv[i] === word));
}

/** Runs a command within its time-out; output after that is dropped. */
async function runCommand(command: Command, input: Input, io: Io): Promise<number> {
  await command.load?.();
  if (command.timeout === undefined) return command.run(input, io);
  const deadline = startDeadline(input.value("timeout") ?? command.timeout(input), io.signal);
  let over = false;
  const write = (to: (text: string) => void) => (text: string) => {
    if (!over) to(text);
  };
  try {
    const running = command.run(input, { ...io, out: write(io.out), err: write(io.err), signal: deadline.signal });
    return await Promise.race([running, deadline.overrun]);
  } catch (thrown) {
    throw deadline.toReason(thrown);
  } finally {
    over = true;
    deadline.end();
  }
}

/** Handles a command line without a known command: prints help if requested, otherwise help as a usage error. */
async function general(argv: readonly string[], io: Io): Promise<number> {
  const words = argv.filter((word) => !word.startsWith("-"));
  const nouns = COMMANDS.filter(({ path }) => words.length > 0 && words.every((word, i) => path[i] === word));
  const helpAsked = argv.some((word) => word === "--help" || word === "-h" || word === "help");
  if (argv.includes("--version")) return dispatch(["version"], io);
  if (words.length > 0 && words[0] !== "help" && nouns.length === 0)
    throw usageError(`Cannot run "mesh ${words.join(" ")}": there is no such command; see mesh --help`);
  const text = overview(nouns.length > 0 ? nouns : COMMANDS);
  if (!helpAsked) {
    io.err(text);
    return 2;
  }
  io.out(text);
  return 0;
}

/** True when the command line has `-o json`, even if it is invalid otherwise. `lab` writes its own errors. */
function wantsJson(argv: readonly string[]): boolean {
  const words = argv.slice(0, until(argv, "--"));
  const at = words.findIndex((word) => word === "-o" || word === "--output");
  return words[0] !== "lab" && (words[at + 1] === "json" ? at >= 0 : words.some((word) => JSON_WORDS.includes(word)));
}

const JSON_WORDS = ["-ojson", "-o=json", "--output=json"];

function until(words: readonly string[], end: string): number {
  const index = words.indexOf(end);
  return index === -1 ? words.length : index;
}
