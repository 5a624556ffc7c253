/** A command as data: help, parsing and dispatch are derived from it. */
import type { Io } from "../output/io.js";

export interface Option {
  /** Long name without dashes. */
  readonly name: string;
  readonly short?: string;
  /** Placeholder of its value in the help; absent for a switch. */
  readonly value?: string;
  /** May be given several times, or once with commas. */
  readonly multiple?: boolean;
  readonly summary: string;
}

export interface Example {
  readonly says: string;
  readonly command: string;
}

export interface Command {
  /** Words that select it: `["service", "list"]`. */
  readonly path: readonly string[];
  /** Positional arguments as shown in help: `CONTEXT CONTEXT…`; absent when it takes none. */
  readonly args?: string;
  readonly summary: string;
  /** More lines for `--help`. */
  readonly detail?: string;
  readonly options: readonly Option[];
  readonly examples: readonly Example[];
  /** Default of `--timeout`: `15s`. Absent: the command calls no server, or runs until its user ends it. */
  timeout?(input: Input): string;
  /** Loads the code that `run` needs, before the time-out begins to count. Help does not load it. */
  load?(): Promise<unknown>;
  /** Takes its arguments unparsed, `--help` included. */
  readonly raw?: boolean;
  /** Returns one of `ExitCode`, or the exit code of the program that a raw command ran. */
  run(input: Input, io: Io): Promise<number>;
}

/** The parsed command line. */
export interface Input {
  /** Positional arguments; for a raw command, all arguments. */
  readonly args: readonly string[];
  flag(name: string): boolean;
  value(name: string): string | undefined;
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
