/** Parses a command's part of the command line into `Input`. Every error is a USAGE error that names the argument. */
import { parseArgs } from "node:util";
import { durationMs, MeshError } from "@isthmus/model";
import type { Command, Input, Option } from "./command.js";
import { usageError } from "./exit.js";

export const HELP: Option = { name: "help", short: "h", summary: "show this help" };

/** `argv`: what follows the command's words. Throws USAGE. */
export function parseInput(command: Command, argv: readonly string[]): Input {
  if (command.raw === true) return input({}, argv);
  const parsed = parse([...command.options, HELP], argv);
  if (command.args === undefined && parsed.positionals.length > 0)
    throw usageError(`Cannot use "${parsed.positionals[0]}": mesh ${command.path.join(" ")} takes no arguments`);
  return input(parsed.values, parsed.positionals);
}

type Values = Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>;

function parse(options: readonly Option[], argv: readonly string[]): { values: Values; positionals: string[] } {
  try {
    const parsed = parseArgs({
      args: [...argv],
      allowPositionals: true,
      strict: true,
      tokens: true,
      options: Object.fromEntries(
        options.map(({ name, short, value, multiple }) => [
          name,
          {
            type: value === undefined ? "boolean" : "string",
            multiple: multiple === true,
            ...(short === undefined ? {} : { short }),
          } as const,
        ]),
      ),
    });
    refuseRepeated(options, parsed.tokens);
    return parsed;
  } catch (thrown) {
    if (thrown instanceof MeshError) throw thrown;
    const reason = thrown instanceof Error ? (thrown.message.split(/\. To specify|\n/)[0] ?? "") : String(thrown);
    throw usageError(`Cannot read the command line: ${reason.replaceAll("'", '"')}`);
  }
}

/** Throws USAGE for an option that takes one value and is given twice. */
function refuseRepeated(options: readonly Option[], tokens: readonly { kind: string; name?: string }[]): void {
  const given = tokens.filter(({ kind }) => kind === "option").map(({ name }) => name);
  const one = options.find(
    ({ name, value, multiple }) =>
      value !== undefined && multiple !== true && given.indexOf(name) !== given.lastIndexOf(name),
  );
  if (one !== undefined) throw usageError(`Cannot use --${one.name} more than once: it takes one ${one.value}`);
}

function input(values: Values, args: readonly string[]): Input {
  const list = (name: string) => [values[name] ?? []].flat().map(String);
  return {
    args,
    flag: (name) => values[name] === true,
    value: (name) => list(name).at(-1),
    values: (name) => list(name).flatMap((value) => value.split(",").filter((part) => part !== "")),
  };
}

/** Node's timers fire at once above 24.8 days; no command takes a day. */
const LONGEST_MS = 24 * 3_600_000;

/** Parses `90s`, `2m`, `1h`, `500ms` to milliseconds. Throws USAGE outside of 1ms to 24h. */
export function parseDuration(text: string, option: string): number {
  const ms = durationMs(text);
  if (ms === undefined) throw usageError(`Cannot use "${text}" for --${option}: write a duration such as 90s or 2m`);
  if (ms >= 1 && ms <= LONGEST_MS) return ms;
  throw usageError(`Cannot use "${text}" for --${option}: write a duration from 1ms to 24h`);
}

/** The value of `-o`, one of `formats`; the first one when absent. */
export function outputFormat<F extends string>(value: string | undefined, formats: readonly [F, ...F[]]): F {
  if (value === undefined) return formats[0];
  const found = formats.find((format) => format === value);
  if (found !== undefined) return found;
  throw usageError(`Cannot write output as "${value}": choose from ${formats.join(", ")}`);
}
