/** Runs `mesh lab …`: arguments in, exit code out. Every error is printed here, as one sentence on stderr. */
import { MeshError } from "@isthmus/model";
import { exitCodeOf } from "../plan/errors.js";
import { type Command, type LabArguments, parseLabArguments } from "./arguments.js";
import { runControl, runLoadImage, runWipe } from "./control.js";
import { runEnv } from "./env.js";
import { runExec } from "./exec.js";
import { runFault } from "./fault.js";
import { HELP } from "./help.js";
import type { LabIo } from "./io.js";
import { runList } from "./list.js";
import { runLogs } from "./logs.js";
import { runPs } from "./ps.js";
import { untilAborted } from "./until-aborted.js";
import { runDown, runUp } from "./up-down.js";

type Handler = (args: LabArguments, io: LabIo) => Promise<number>;

const HANDLERS: Readonly<Record<Command, Handler>> = {
  up: runUp,
  down: runDown,
  list: runList,
  ps: runPs,
  stop: runControl,
  start: runControl,
  kill: runControl,
  wipe: runWipe,
  env: runEnv,
  exec: runExec,
  "load-image": runLoadImage,
  logs: runLogs,
  fault: runFault,
};

/**
 * Commands that handle Ctrl-C themselves; `up` takes down what it started. The others are abandoned at once: `down` can be run
 * again to remove the rest, and the remaining ones only send requests to the supervisor.
 */
const END_THEMSELVES: ReadonlySet<Command> = new Set<Command>(["up", "exec", "logs"]);

/** `argv`: the arguments after `lab`. */
export async function runLab(argv: readonly string[], io: LabIo): Promise<number> {
  try {
    const args = parseLabArguments(argv);
    if (args !== undefined) {
      const work = HANDLERS[args.command](args, io);
      return await (END_THEMSELVES.has(args.command) ? work : untilAborted(work, io.signal));
    }
    io.out(HELP);
    return argv.length === 0 ? 2 : 0;
  } catch (thrown) {
    if (io.signal?.aborted === true) {
      io.err("Interrupted\n");
      return interruptedExit(io.signal.reason);
    }
    const error = MeshError.from(thrown);
    io.err(`${error.message}\n`);
    return exitCodeOf(error);
  }
}

/** 128 plus the signal's number, as in a shell. The abort reason carries it; 130 for a reason without one. */
function interruptedExit(reason: unknown): number {
  const exit = reason instanceof MeshError && "exit" in reason.data ? reason.data.exit : undefined;
  return typeof exit === "number" ? exit : 130;
}
