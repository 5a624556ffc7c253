/**
 * The end of a command: its user's signal, or its time. One AbortSignal for every call that it makes.
 *
 * A call that is cut by it fails with the signal's reason, "no answer within 15s", and the command reports that as it reports
 * any failure. A command that does not listen to its signal is left behind: `overrun`.
 */
import { setMaxListeners } from "node:events";
import { MeshError } from "@isthmus/model";
import { parseDuration } from "./parse.js";

export interface Deadline {
  readonly signal: AbortSignal;
  /** Rejects at once when the user ends the command, and `GRACE_MS` after its time is up. */
  readonly overrun: Promise<never>;
  /** What a command throws after its end is that end. */
  explain(thrown: unknown): unknown;
  /** Stops the clock and cancels what still runs. */
  end(): void;
}

/** For the report about what did answer. */
const GRACE_MS = 750;

/** The reason of the user's signal: exit codes as a shell has them, 128 and the signal's number. */
export function interrupted(signal: "SIGINT" | "SIGTERM"): MeshError<{ code: "INTERRUPTED"; exit: number }> {
  return new MeshError({ code: "INTERRUPTED", exit: signal === "SIGINT" ? 130 : 143 }, "Interrupted");
}

/** `limit`: a duration as users write it, `90s`. Throws USAGE when it is none. */
export function startDeadline(limit: string, user: AbortSignal): Deadline {
  const ms = parseDuration(limit, "timeout");
  const timeUp = new MeshError({ code: "TIMEOUT" }, `no answer within ${limit}`);
  const ended = new AbortController();
  const signal = AbortSignal.any([user, ended.signal]);
  // One per call that is under way.
  setMaxListeners(0, signal);
  let timer: NodeJS.Timeout | undefined;
  const overrun = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      timer = setTimeout(() => reject(timeUp), GRACE_MS);
      ended.abort(timeUp);
    }, ms);
    if (user.aborted) reject(user.reason);
    user.addEventListener("abort", () => reject(user.reason), { once: true, signal: ended.signal });
  });
  overrun.catch(() => undefined);
  return {
    signal,
    overrun,
    explain(thrown) {
      if (user.aborted) return user.reason;
      if (signal.reason !== timeUp) return thrown;
      const sentence = MeshError.from(thrown).message;
      return new MeshError(timeUp.data, thrown === timeUp ? `Cannot finish: ${sentence}` : sentence, { cause: thrown });
    },
    end() {
      clearTimeout(timer);
      ended.abort(new MeshError({ code: "ENDED" }, "the command has ended"));
    },
  };
}
