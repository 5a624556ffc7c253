/**
 * Runs a process: arguments, signals, exit code.
 *
 * Exit codes: 0 when `run` ends, when a signal ended it, or for `--help` and `--version` (answered on stdout); 2 for a
 * wrong command line (`USAGE`, the usage on stderr); 1 for anything else (one error line in the log). An uncaught
 * exception or rejection is a bug: the process logs it and exits instead of continuing in an unknown state, and its
 * supervisor restarts it.
 */
import { MeshError } from "@isthmus/model";
import { createLogger, type Logger } from "./logger.js";

export interface ProcessOptions {
  /** Name in every log line. */
  readonly app: string;
  /** What --version prints, behind the name. */
  readonly version: string;
  /** The whole text of --help, with a final newline; on stderr after a `USAGE` error. */
  readonly usage: string;
  /** Gets the arguments after the program's name; resolves when everything has stopped. */
  readonly run: (argv: readonly string[], log: Logger, signal: AbortSignal) => Promise<void>;
}

/** Never returns: the process exits. */
export async function runProcess({ app, version, usage, run }: ProcessOptions): Promise<never> {
  const hasArgument = (...names: readonly string[]) =>
    process.argv.slice(2).some((argument) => names.includes(argument));
  if (hasArgument("--help", "-h")) {
    process.stdout.write(usage);
    process.exit(0);
  }
  if (hasArgument("--version")) {
    process.stdout.write(`${app} ${version}\n`);
    process.exit(0);
  }
  const log = createLogger({ app });
  process.on("uncaughtException", (error) => {
    log.error("Uncaught exception, exiting", { error, stack: error instanceof Error ? error.stack : undefined });
    process.exit(1);
  });
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    // A second signal exits at once.
    process.once(signal, () => {
      process.once(signal, () => process.exit(1));
      stop.abort(new Error(signal));
    });
  }
  try {
    await run(process.argv.slice(2), log, stop.signal);
    process.exit(0);
  } catch (thrown) {
    if (stop.signal.aborted && thrown === stop.signal.reason) process.exit(0);
    const error = MeshError.from(thrown);
    if (error.code === "USAGE") process.stderr.write(`${error.message}\n\n${usage}`);
    else log.error("Process failed, exiting", { error });
    process.exit(error.code === "USAGE" ? 2 : 1);
  }
}
