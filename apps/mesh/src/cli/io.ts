/** What a command may touch of the process: answers go to stdout, talk goes to stderr. */
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
  return {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    env,
    color: process.stderr.isTTY === true && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb",
    signal,
  };
}
