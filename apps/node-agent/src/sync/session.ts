/**
 * One stream to an apiserver, from Hello to its end: passes its messages to the core and performs the core's effects.
 *
 * ```
 *   opened ──Welcome──► welcomed ──┐
 *      └───────────────────────────┴── left by the core, ended, failed, silent, aborted ──► over
 * ```
 * When the kernel is behind, reading pauses: the server keeps a cursor, and the agent no long queue.
 */
import type { Clock } from "@isthmus/model";
import type { ToAgent, ToServer } from "@isthmus/proto";
import type { SyncStream } from "./connection.js";
import type { SyncCore, SyncEffect } from "./core.js";
import { IDLE_MS, startIdleTimeout, WELCOME_MS } from "./idle-timeout.js";

export interface SessionModules {
  /** Gets `opened` and each message; `closed` is for the caller of `run` to pass. */
  readonly core: SyncCore;
  /** Times the idle timeout. */
  readonly clock: Clock;
  /** Ends the stream. */
  readonly signal: AbortSignal;
  /** The stream had its Welcome; called before that effect is performed. */
  readonly onWelcome: () => void;
  /** Performs the effects other than `send` and `leave`. */
  readonly perform: (effect: Exclude<SyncEffect, { readonly is: "send" | "leave" }>) => void;
  /** Number of deltas that wait for the kernel. */
  readonly waiting: () => number;
  /** Resolves when the kernel has caught up. */
  readonly caughtUp: () => Promise<void>;
}

/** The core left the stream. */
export type Leave = Extract<SyncEffect, { readonly is: "leave" }>;

export interface Session {
  /** Begins; resolves when the core left the stream, or with undefined when aborted. Rejects when the stream failed. */
  run(): Promise<Leave | undefined>;
  /** Sends if the stream had its Welcome; returns false otherwise. */
  send(message: ToServer): boolean;
  /** The stream had its Welcome; it stays true when the stream is over. */
  readonly welcomed: boolean;
}

const MAX_WAITING = 1000;

/** Neither writes nor listens before `run`, which is called once. */
export function createSession(stream: SyncStream, modules: SessionModules): Session {
  const { core, clock, signal } = modules;
  let welcomed = false;

  function run(): Promise<Leave | undefined> {
    return new Promise((resolve, reject) => {
      let over = false;
      const end = (finish: () => void) => {
        if (over) return;
        over = true;
        idleTimeout.stop();
        signal.removeEventListener("abort", stop);
        stream.cancel();
        finish();
      };
      const stop = () => end(() => resolve(undefined));
      const idleTimeout = startIdleTimeout({
        clock,
        limitMs: () => (welcomed ? IDLE_MS : WELCOME_MS),
        paused: () => stream.isPaused(),
        onTimeout: (error) => end(() => reject(error)),
      });
      const handle = (effects: readonly SyncEffect[]) => {
        for (const effect of effects) {
          if (effect.is === "leave") end(() => resolve(effect));
          else perform(effect);
        }
        if (modules.waiting() > MAX_WAITING) pauseUntilCaughtUp(idleTimeout.restart);
      };
      signal.addEventListener("abort", stop, { once: true });
      stream.on("data", (message: ToAgent) => {
        idleTimeout.restart();
        // An exception while a message is processed ends this stream, not the agent.
        try {
          if (!over) handle(core.step({ is: "message", message }));
        } catch (thrown) {
          end(() => reject(thrown));
        }
      });
      stream.on("error", (error) => end(() => reject(error)));
      stream.on("end", () => end(() => reject(new Error("the server ended the stream"))));
      handle(core.step({ is: "opened" }));
    });
  }

  function perform(effect: Exclude<SyncEffect, Leave>): void {
    if (effect.is === "send") return void stream.write(effect.message);
    if (effect.is === "welcome") {
      welcomed = true;
      modules.onWelcome();
    }
    modules.perform(effect);
  }

  function pauseUntilCaughtUp(resumed: () => void): void {
    if (stream.isPaused()) return;
    stream.pause();
    void modules.caughtUp().then(() => {
      resumed();
      stream.resume();
    });
  }

  return {
    run,
    send(message) {
      if (welcomed) stream.write(message);
      return welcomed;
    },
    get welcomed() {
      return welcomed;
    },
  };
}
