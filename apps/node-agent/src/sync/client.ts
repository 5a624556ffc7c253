/**
 * Keeps one stream to the apiservers: opens it, passes its messages to the core, performs the core's effects, and
 * reconnects when it ends.
 *
 * A lost stream is reopened on the next server; after a round of all servers without success, with a jittered back-off
 * of at most 2 s. When the kernel is behind, reading pauses: the server keeps a cursor, and the agent no long queue.
 */
import { type Clock, MeshError } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import type { ToAgent, ToServer } from "@isthmus/proto";
import { createBackoff } from "@isthmus/runtime";
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
  /** Performs the effects other than `send` and `leave`. */
  readonly perform: (effect: Exclude<SyncEffect, { readonly is: "send" | "leave" }>) => void;
  /** Number of deltas that wait for the kernel. */
  readonly waiting: () => number;
  /** Resolves when the kernel has caught up. */
  readonly caughtUp: () => Promise<void>;
}

export interface SyncClient {
  /** Sends if a stream is open and had its Welcome; returns false otherwise. */
  send(message: ToServer): boolean;
  /** Server of the open stream, after its Welcome. */
  readonly server: string | undefined;
  /** Resolves when aborted. */
  run(): Promise<void>;
}

const MAX_WAITING = 1000;
/** Longest retry time of a GoAway, so that it cannot disconnect a node for hours; the shortest is the back-off. */
const MAX_AWAY_MS = 60_000;
/** A stream that lasted longer than this resets the back-off. */
const SETTLED_MS = 5000;

export function createSyncClient(modules: ClientModules): SyncClient {
  const { core, servers, clock, log, signal } = modules;
  const backoff = createBackoff({ minMs: 100, maxMs: 2000 });
  let open: SyncStream | undefined;
  let server: string | undefined;
  let problem: string | undefined;
  let welcome = false;

  /** Runs one stream until it ends; resolves with the time to wait before the next one if the core left this one. */
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
        idleTimeout.stop();
        signal.removeEventListener("abort", stop);
        stream.cancel();
        finish();
      };
      const stop = () => end(() => resolve(undefined));
      const handle = (effects: readonly SyncEffect[]) => {
        for (const effect of effects) {
          if (effect.is === "send") stream.write(effect.message);
          else if (effect.is === "leave") {
            log.info("Stream ended, reconnecting", { server: address, reason: effect.reason });
            end(() => resolve(awayMs(effect.afterMs)));
          } else {
            if (effect.is === "welcome") welcomed(address);
            modules.perform(effect);
          }
        }
        if (modules.waiting() > MAX_WAITING) pauseUntilCaughtUp(stream, idleTimeout);
      };
      const idleTimeout = startIdleTimeout({
        clock,
        limitMs: () => (server === undefined ? WELCOME_MS : IDLE_MS),
        paused: () => stream.isPaused(),
        onTimeout: (error) => end(() => reject(error)),
      });
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

  function awayMs(retryAfterMs: number | undefined): number {
    return Math.min(Math.max(retryAfterMs ?? 0, backoff.nextMs()), MAX_AWAY_MS);
  }

  function welcomed(address: string): void {
    server = address;
    problem = undefined;
    servers.reportSuccess();
    welcome = true;
    log.info("Connected to an apiserver", { server: address });
  }

  function pauseUntilCaughtUp(stream: SyncStream, idleTimeout: IdleTimeout): void {
    if (stream.isPaused()) return;
    stream.pause();
    void modules.caughtUp().then(() => {
      idleTimeout.restart();
      stream.resume();
    });
  }

  /** Logs a failure once per reason, not once per try. */
  function failed(address: string, thrown: unknown): void {
    const reason = MeshError.from(thrown).message;
    if (reason !== problem && !signal.aborted) {
      if (welcome) log.info("Stream lost, the node keeps its present state", { server: address, reason });
      else
        log.warn("Cannot open a stream to this apiserver, the node keeps its present state", {
          server: address,
          reason,
        });
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
      // Also back off from a server that sends Welcome and then ends the stream: no tight loop.
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
