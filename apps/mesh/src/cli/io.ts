/** What a command may touch of the process: answers go to stdout, messages go to stderr; neither can control the terminal. */
import { terminalText } from "../output/text.js";

export interface Io {
  /** Answers: what a pipe receives. */
  out(text: string): void;
  /** Talk: progress, warnings, errors. */
  err(text: string): void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Words on stderr may be coloured; they mean the same without. */
  readonly color: boolean;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

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
