/** A command as data: help, parsing and dispatch are made from it. */
import type { Io } from "./io.js";

export interface Option {
  /** Long name without dashes. */
  readonly name: string;
  readonly short?: string;
  /** Placeholder of its value; absent for a switch. */
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
  /** How long it may take unless `--timeout` says so: `15s`. Absent: it calls no server, or only its user ends it. */
  timeout?(input: Input): string;
  /** Loads the code that `run` needs, before its time begins: help needs none of it. */
  load?(): Promise<unknown>;
  /** Takes its arguments unparsed, `--help` included. */
  readonly raw?: boolean;
  /** Exit code: those of `ExitCode`, or that of a program that a raw command ran. */
  run(input: Input, io: Io): Promise<number>;
}

/** The parsed command line. */
export interface Input {
  /** Positional arguments; of a raw command everything. */
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

/** Of every command with a `timeout`. */
export function timeoutOption(summary: string): Option {
  return { name: "timeout", value: "DURATION", summary };
}
