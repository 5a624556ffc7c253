/** The arguments, signals, errors and exit codes of a command that makes a lab and measures in it. */
import { MeshError } from "@isthmus/model";

export interface LabProgram<Options extends { readonly help: boolean }> {
  /** Printed for `help`, and after what is wrong with the arguments. */
  readonly usage: string;
  /** Throws for arguments that it does not know. */
  parse(argv: readonly string[]): Options;
  /** Resolves with the exit code. `signal` aborts at SIGINT and SIGTERM. */
  run(options: Options, signal: AbortSignal): Promise<number>;
}

/** Sets the exit code of the process: that of `run`, 1 when it rejects, 2 for wrong arguments or an unfit machine. */
export async function runProgram<Options extends { readonly help: boolean }>(
  argv: readonly string[],
  program: LabProgram<Options>,
): Promise<void> {
  process.exitCode = await exitCode(argv, program);
}

async function exitCode<Options extends { readonly help: boolean }>(
  argv: readonly string[],
  { usage, parse, run }: LabProgram<Options>,
): Promise<number> {
  let options: Options;
  try {
    options = parse(argv);
  } catch (thrown) {
    process.stderr.write(`${MeshError.from(thrown).message}\n${usage}`);
    return 2;
  }
  if (options.help) {
    process.stdout.write(usage);
    return 0;
  }
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => stop.abort(new Error("interrupted")));
  try {
    return await run(options, stop.signal);
  } catch (thrown) {
    const error = MeshError.from(thrown);
    process.stderr.write(`${error.message}\n`);
    return error.code === "UNFIT" ? 2 : 1;
  }
}
