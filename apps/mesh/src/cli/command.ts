/** A command as data: help, parsing and dispatch are derived from it. */
import type { Io } from "../output/io.js";
import type { ExitCode } from "./exit.js";

export interface Option {
  /** Long name without dashes. */
  readonly name: string;
  /** One letter, without the dash. */
  readonly short?: string;
  /** Placeholder of its value in the help; absent for a switch. */
  readonly value?: string;
  /** May be given several times, or once with commas. */
  readonly multiple?: boolean;
  /** Begins in lower case, without a full stop; names the default. */
  readonly summary: string;
}

export interface Example {
  /** What the user wants, one line. */
  readonly says: string;
  /** The whole line, as typed. */
  readonly command: string;
}

export interface Command {
  /** Words that select it: `["service", "list"]`. */
  readonly path: readonly string[];
  /** Positional arguments as shown in help: `CONTEXT CONTEXT…`; absent when it takes none. */
  readonly args?: string;
  /** One line of the overview: begins in lower case, without a full stop. */
  readonly summary: string;
  /** More lines for `--help`. */
  readonly detail?: string;
  /** Without --help, which every command has. */
  readonly options: readonly Option[];
  /** At the end of its help. */
  readonly examples: readonly Example[];
  /** Default of `--timeout`: `15s`. Absent: the command calls no server, or runs until its user ends it. */
  timeout?(input: Input): string;
  /** Loads the code that `run` needs, before the time-out begins to count. Help does not load it. */
  load?(): Promise<unknown>;
  /** Takes its arguments unparsed, `--help` included. */
  readonly raw?: boolean;
  /** Of errors that have no exit code of their own; 1 when absent. */
  readonly errorExit?: ExitCode;
  /** Returns one of `ExitCode`, or the exit code of the program that a raw command ran. */
  run(input: Input, io: Io): Promise<number>;
}

/** The parsed command line. */
export interface Input {
  /** Positional arguments; for a raw command, all arguments. */
  readonly args: readonly string[];
  /** Whether a switch was given. */
  flag(name: string): boolean;
  /** The value of an option; undefined when it was not given. */
  value(name: string): string | undefined;
  /** All values of a `multiple` option, split at commas, without empty ones. */
  values(name: string): readonly string[];
}

export const KUBECONFIG: Option = {
  name: "kubeconfig",
  value: "FILE",
  summary: "kubeconfig to read; otherwise $KUBECONFIG, otherwise ~/.kube/config",
};

/** The `--timeout` option, for every command with a `timeout`. */
export function timeoutOption(summary: string): Option {
  return { name: "timeout", value: "DURATION", summary };
}
