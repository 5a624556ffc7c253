/** Reads the command line of a process. Every error is `USAGE`, with the option's name and what to write. */
import { parseArgs } from "node:util";
import { MeshError } from "@isthmus/model";
import { splitHostPort } from "./http-listener.js";

/** Returns the options that were given; each takes a value, but for `flags`. Throws `USAGE` on an unknown one. */
export function readOptions<Name extends string, Flag extends string = never>(
  argv: readonly string[],
  names: readonly Name[],
  flags: readonly Flag[] = [],
): Readonly<Partial<Record<Name, string> & Record<Flag, true>>> {
  try {
    const options = Object.fromEntries([
      ...names.map((name) => [name, { type: "string" as const }] as const),
      ...flags.map((name) => [name, { type: "boolean" as const }] as const),
    ]);
    return parseArgs({ args: [...argv], options }).values as Partial<Record<Name, string> & Record<Flag, true>>;
  } catch (cause) {
    throw usageError((cause as Error).message, cause);
  }
}

/** Throws `USAGE` unless `text` is an address with a port. */
export function checkAddressOption(name: string, text: string): void {
  try {
    splitHostPort(text);
  } catch (cause) {
    throw usageError(`--${name} is "${text}", write it like "10.0.0.1:7443"`, cause);
  }
}

/** `what`: the option and what to write instead. `cause`: what reading the value threw. */
export function usageError(what: string, cause?: unknown): MeshError<{ code: "USAGE" }> {
  return new MeshError({ code: "USAGE" }, `Cannot start: ${what}`, { cause });
}
