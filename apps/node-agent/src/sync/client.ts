/**
 * The stream to the apiservers: opens it, feeds the core, performs what the core says, comes back when it ends.
 *
 * One stream at a time. A lost one is opened anew on the next server; after a whole round without success with jittered
 * back-off of at most 2 s. When the kernel is behind, reading pauses: the server then holds a cursor, we hold no queue.
 */
import { type Clock, MeshError } from "@isthmus/model";
import { createBackoff, type Logger } from "@isthmus/observe";
import type { ToAgent, ToServer } from "@isthmus/proto";
import type { Connect, SyncStream } from "./connection.js";
import type { SyncCore, SyncEffect } from "./core.js";
import { IDLE_MS, type IdleTimeout, startIdleTimeout, WELCOME_MS } from "./idle-timeout.js";
import type { ServerList } from "./server-list.js";

export interface ClientModules {
  readonly connect: Connect;
  readonly core: SyncCore;
  readonly servers: ServerList;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Everything but `send` and `leave`. */
  readonly perform: (effect: Exclude<SyncEffect, { readonly is: "send" | "leave" }>) => void;
  /** Deltas that wait for the kernel. */
  readonly waiting: () => number;
  /** Resolves when the kernel has caught up. */
  readonly caughtUp: () => Promise<void>;
}

export interface SyncClient {
  /** Sends when a stream is open; false otherwise. */
  send(message: ToServer): boolean;
  /** Server of the open stream, after its Welcome. */
  readonly server: string | undefined;
  /** Resolves when aborted. */
  run(): Promise<void>;
}

const MAX_WAITING = 1000;
/** Upper bound of a GoAway's time, so that a node is not lost for hours; the lower bound is the client's back-off. */
const MAX_AWAY_MS = 60_000;
/** A stream that lived this long was a good one. */
const SETTLED_MS = 5000;

export function createSyncClient(modules: ClientModules): SyncClient {
  const { core, servers, clock, log, signal } = modules;
  const backoff = createBackoff({ minMs: 100, maxMs: 2000 });
  let open: SyncStream | undefined;
  let server: string | undefined;
  let problem: string | undefined;
  let welcome = false;

  /** One stream from its opening to its end; resolves with how long to wait before the next, if it said so. */
  async function serve(address: string): Promise<number | undefined> {
    const connection = await modules.connect(address, signal);
    try {
      return signal.aborted ? undefined : await talk(connection.stream, address);
    } finally {
      core.step({ is: "closed" });
      open = undefined;
      server = undefined;
      connection.close();
    }
  }

  function talk(stream: SyncStream, address: string): Promise<number | undefined> {
    return new Promise((resolve, reject) => {
      open = stream;
      let over = false;
      const end = (finish: () => void) => {
        if (over) return;
        over = true;
        silence.stop();
        signal.removeEventListener("abort", stop);
        stream.cancel();
        finish();
      };
      const stop = () => end(() => resolve(undefined));
      const handle = (effects: readonly SyncEffect[]) => {
        for (const effect of effects) {
          if (effect.is === "send") stream.write(effect.message);
          else if (effect.is === "leave") {
            log.info("Stream ended, another follows", { server: address, reason: effect.reason });
            end(() => resolve(awayMs(effect.afterMs)));
          } else {
            if (effect.is === "welcome") welcomed(address);
            modules.perform(effect);
          }
        }
        if (modules.waiting() > MAX_WAITING) pauseUntilCaughtUp(stream, silence);
      };
      const silence = startIdleTimeout({
        clock,
        limitMs: () => (server === undefined ? WELCOME_MS : IDLE_MS),
        paused: () => stream.isPaused(),
        onSilent: (error) => end(() => reject(error)),
      });
      signal.addEventListener("abort", stop, { once: true });
      stream.on("data", (message: ToAgent) => {
        silence.heard();
        // What a message makes throw costs this stream, not the agent.
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

  function awayMs(told: number | undefined): number {
    return Math.min(Math.max(told ?? 0, backoff.nextMs()), MAX_AWAY_MS);
  }

  function welcomed(address: string): void {
    server = address;
    problem = undefined;
    servers.worked();
    welcome = true;
    log.info("Connected to an apiserver", { server: address });
  }

  function pauseUntilCaughtUp(stream: SyncStream, silence: IdleTimeout): void {
    if (stream.isPaused()) return;
    stream.pause();
    void modules.caughtUp().then(() => {
      silence.heard();
      stream.resume();
    });
  }

  /** Said once per reason, not once per try. */
  function failed(address: string, thrown: unknown): void {
    const reason = MeshError.from(thrown).message;
    if (reason !== problem && !signal.aborted) {
      if (welcome) log.info("Stream lost, the node goes on with what it has", { server: address, reason });
      else log.warn("No stream to this apiserver, the node goes on with what it has", { server: address, reason });
    }
    problem = reason;
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      const address = servers.next();
      const started = clock.now();
      let waitMs: number | undefined;
      welcome = false;
      try {
        waitMs = await serve(address);
      } catch (thrown) {
        failed(address, thrown);
      }
      if (clock.now() - started > SETTLED_MS) backoff.reset();
      // A server that welcomes and hangs up at once is not asked in a tight loop either.
      if (waitMs === undefined && (servers.exhausted || welcome)) waitMs = backoff.nextMs();
      if (waitMs !== undefined) await clock.delay(waitMs, signal).catch(() => undefined);
    }
  }

  return {
    send(message) {
      if (open === undefined || server === undefined) return false;
      open.write(message);
      return true;
    },
    get server() {
      return server;
    },
    run,
  };
}
