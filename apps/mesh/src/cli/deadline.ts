/**
 * Ends a command at its user's signal or at its time-out: one AbortSignal for every call that it makes.
 *
 * An aborted call fails with the signal's reason, "no answer within 15s", which the command reports like any failure. A
 * command that ignores the signal is abandoned: `overrun` rejects.
 */
import { setMaxListeners } from "node:events";
import { MeshError } from "@isthmus/model";
import { parseDuration } from "./parse.js";

export interface Deadline {
  /** Aborted by the user, at the time-out, and by `end`. */
  readonly signal: AbortSignal;
  /** Rejects at once when the user ends the command, and `GRACE_MS` after its time is up. */
  readonly overrun: Promise<never>;
  /** Maps what a command throws after the abort to the user's signal or the time-out; returns other errors unchanged. */
  toReason(thrown: unknown): unknown;
  /** Stops the clock and cancels what still runs. */
  end(): void;
}

/** Time after the time-out in which a command can still report the answers that it has. */
const GRACE_MS = 750;

/** The abort reason for the user's signal. Exit codes as in a shell: 128 plus the signal's number. */
export function interrupted(signal: "SIGINT" | "SIGTERM"): MeshError<{ code: "INTERRUPTED"; exit: number }> {
  return new MeshError({ code: "INTERRUPTED", exit: signal === "SIGINT" ? 130 : 143 }, "Interrupted");
}

/** `limit`: a duration as users write it, `90s`. Throws USAGE when it is invalid. */
export function startDeadline(limit: string, user: AbortSignal): Deadline {
  const ms = parseDuration(limit, "timeout");
  const timeUp = new MeshError({ code: "TIMEOUT" }, `no answer within ${limit}`);
  const ended = new AbortController();
  const signal = AbortSignal.any([user, ended.signal]);
  // There is one listener for each call in flight.
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
    toReason(thrown) {
      if (user.aborted) return user.reason;
      if (signal.reason !== timeUp) return thrown;
      const sentence = MeshError.from(thrown).message;
      return new MeshError({ code: "TIMEOUT" }, thrown === timeUp ? `Cannot finish: ${sentence}` : sentence, {
        cause: thrown,
      });
    },
    end() {
      clearTimeout(timer);
      ended.abort(new MeshError({ code: "ENDED" }, "the command has ended"));
    },
  };
}
