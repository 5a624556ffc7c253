/**
 * The stream to the apiservers: opens it, feeds the core, performs what the core says, comes back when it ends.
 *
 * One stream at a time. A lost one is opened anew at once on the next server; after a whole round without success with
 * jittered back-off of at most 2 s. When the kernel is behind, reading pauses: the server then holds a cursor, we hold
 * no queue.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type ChannelCredentials, type ClientDuplexStream, credentials, Metadata } from "@grpc/grpc-js";
import { type Clock, MeshError } from "@isthmus/model";
import { createBackoff, type Logger } from "@isthmus/observe";
import { StateSyncClient, type ToAgent, type ToServer } from "@isthmus/proto";
import type { SyncCore, SyncEffect } from "./core.js";
import type { ServerList } from "./server-list.js";

export interface ClientOptions {
  /** Folder with ca.crt, tls.crt, tls.key; read again for each connection. */
  readonly tlsDir: string;
}

export interface ClientModules {
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
  /** Why the last stream ended. */
  readonly problem: string | undefined;
  /** Resolves when aborted. */
  run(): Promise<void>;
}

const CHANNEL = {
  "grpc.max_receive_message_length": -1,
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 3000,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 2000,
} as const;

const CONNECT_MS = 3000;
const MAX_WAITING = 1000;
/** A stream that lived this long was a good one. */
const SETTLED_MS = 5000;

export function createSyncClient(options: ClientOptions, modules: ClientModules): SyncClient {
  const { core, servers, clock, log, signal } = modules;
  const backoff = createBackoff({ minMs: 100, maxMs: 2000 });
  let call: ClientDuplexStream<ToServer, ToAgent> | undefined;
  let server: string | undefined;
  let problem: string | undefined;
  let welcome = false;

  async function loadCredentials(): Promise<ChannelCredentials> {
    const read = (name: string) => readFile(join(options.tlsDir, name));
    const [ca, certificate, key] = await Promise.all([read("ca.crt"), read("tls.crt"), read("tls.key")]);
    return credentials.createSsl(ca, key, certificate);
  }

  /** One stream from its opening to its end; resolves with how long to wait before the next, if it said so. */
  async function stream(address: string): Promise<number | undefined> {
    const client = new StateSyncClient(address, await loadCredentials(), CHANNEL);
    try {
      await ready(client);
      if (signal.aborted) return undefined;
      return await talk(client.subscribe(new Metadata()), address);
    } finally {
      core.step({ is: "closed" });
      call = undefined;
      server = undefined;
      client.close();
    }
  }

  /** Resolves when connected, or when there is no need any more. */
  function ready(client: StateSyncClient): Promise<void> {
    return new Promise((resolve, reject) => {
      const give = () => resolve();
      signal.addEventListener("abort", give, { once: true });
      client.waitForReady(Date.now() + CONNECT_MS, (error) => {
        signal.removeEventListener("abort", give);
        if (error === undefined) resolve();
        else reject(error);
      });
      if (signal.aborted) resolve();
    });
  }

  function talk(open: ClientDuplexStream<ToServer, ToAgent>, address: string): Promise<number | undefined> {
    return new Promise((resolve, reject) => {
      call = open;
      let over = false;
      const end = (finish: () => void) => {
        if (over) return;
        over = true;
        signal.removeEventListener("abort", stop);
        open.cancel();
        finish();
      };
      const stop = () => end(() => resolve(undefined));
      const handle = (effects: readonly SyncEffect[]) => {
        for (const effect of effects) {
          if (effect.is === "send") open.write(effect.message);
          else if (effect.is === "leave") {
            problem = `server ended the stream: ${effect.reason}`;
            end(() => resolve(effect.afterMs ?? backoff.nextMs()));
          } else {
            if (effect.is === "welcome") welcomed(address);
            modules.perform(effect);
          }
        }
        if (modules.waiting() > MAX_WAITING) pauseUntilCaughtUp(open);
      };
      signal.addEventListener("abort", stop, { once: true });
      open.on("data", (message: ToAgent) => {
        if (!over) handle(core.step({ is: "message", message }));
      });
      open.on("error", (error) => end(() => reject(error)));
      open.on("end", () => end(() => reject(new Error("the server ended the stream"))));
      handle(core.step({ is: "opened" }));
    });
  }

  function welcomed(address: string): void {
    server = address;
    problem = undefined;
    servers.worked();
    welcome = true;
    log.info("Connected", { server: address });
  }

  function pauseUntilCaughtUp(open: ClientDuplexStream<ToServer, ToAgent>): void {
    if (open.isPaused()) return;
    open.pause();
    void modules.caughtUp().then(() => open.resume());
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      const address = servers.next();
      const started = clock.now();
      let waitMs: number | undefined;
      welcome = false;
      try {
        waitMs = await stream(address);
      } catch (thrown) {
        const said = MeshError.from(thrown).message;
        if (said !== problem) log.info("No stream", { server: address, reason: said });
        problem = said;
      }
      if (clock.now() - started > SETTLED_MS) backoff.reset();
      // A server that welcomes and hangs up at once is not asked in a tight loop either.
      if (waitMs === undefined && (servers.exhausted || welcome)) waitMs = backoff.nextMs();
      if (waitMs !== undefined) await clock.delay(waitMs, signal).catch(() => undefined);
    }
  }

  return {
    send(message) {
      if (call === undefined || server === undefined) return false;
      call.write(message);
      return true;
    },
    get server() {
      return server;
    },
    get problem() {
      return problem;
    },
    run,
  };
}
