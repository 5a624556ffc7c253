/** What a command may use of the process: results go to stdout, messages to stderr; control characters are escaped in both. */
import { terminalText } from "./text.js";

export interface Io {
  /** Writes results to stdout. */
  out(text: string): void;
  /** Writes progress, warnings and errors to stderr. */
  err(text: string): void;
  /** Variables of the environment by name. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether text on stderr may be coloured. No meaning depends on colour. */
  readonly color: boolean;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

/** The stdout and stderr of this process; colours only on a terminal, and not with NO_COLOR. */
export function processIo(signal: AbortSignal): Io {
  const { env } = process;
  const color = process.stderr.isTTY === true && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";
  return {
    out: (text) => process.stdout.write(terminalText(text, { color: false })),
    err: (text) => process.stderr.write(terminalText(text, { color })),
    env,
    color,
    signal,
  };
}
