/**
 * The life of a process: arguments in, signals, exit code.
 *
 * Exit codes: 0 when `run` ends, a signal ended it, or `--help` or `--version` asked for an answer (on stdout), 2 for a wrong command line
 * (`USAGE`, the usage on stderr), 1 for anything else (one error line in the log). What nobody catches, in a handler or a
 * promise, is a bug: the process does not go on in a state that nobody thought of, it says so and ends, and whoever runs it
 * starts it again.
 */
import { MeshError } from "@isthmus/model";
import { createLogger, type Logger } from "./logger.js";

export interface ProcessOptions {
  /** Name in every log line. */
  readonly app: string;
  readonly version: string;
  readonly usage: string;
  /** Gets the arguments after the program's name; returns when all is stopped. */
  readonly run: (argv: readonly string[], log: Logger, signal: AbortSignal) => Promise<void>;
}

/** Never returns: the process exits. */
export async function runProcess({ app, version, usage, run }: ProcessOptions): Promise<never> {
  const asked = (...names: readonly string[]) => process.argv.slice(2).some((argument) => names.includes(argument));
  if (asked("--help", "-h")) {
    process.stdout.write(usage);
    process.exit(0);
  }
  if (asked("--version")) {
    process.stdout.write(`${app} ${version}\n`);
    process.exit(0);
  }
  const log = createLogger({ app });
  process.on("uncaughtException", (error) => {
    log.error("Stopped by a bug", { error, stack: error instanceof Error ? error.stack : undefined });
    process.exit(1);
  });
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    // A second signal does not wait.
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
    else log.error("Stopped by an error", { error });
    process.exit(error.code === "USAGE" ? 2 : 1);
  }
}
