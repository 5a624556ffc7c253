/**
 * Keeps one stream to the apiservers: opens it, and opens the next one when it ends.
 *
 * ```
 *   connecting ──► in session (session.ts) ──► waiting ──► connecting
 *        └────────────── refused ─────────────────┘
 * ```
 * A lost stream is reopened on the next server; after a round of all servers without success, with a jittered back-off
 * of at most 2 s.
 */
import { type Clock, MeshError } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import type { ToServer } from "@isthmus/proto";
import { createBackoff, sleep } from "@isthmus/runtime";
import type { Connect, Connection } from "./connection.js";
import type { ServerList } from "./server-list.js";
import { createSession, type Leave, type Session, type SessionModules } from "./session.js";

export interface ClientModules extends Omit<SessionModules, "onWelcome"> {
  /** Called for each try; its connection is closed when the stream is over. */
  readonly connect: Connect;
  /** Called with each connection that had its Welcome; `over` aborts when it is closed. */
  readonly connected?: (connection: Connection, over: AbortSignal) => void;
  /** Asked for a server at each try; a Welcome is reported to it. */
  readonly servers: ServerList;
  /** Times the back-off, and the idle timeout of each stream. */
  readonly clock: Clock;
  /** Gets connects, streams that end, and a failure once for each reason. */
  readonly log: Logger;
}

export interface SyncClient {
  /** Sends if a stream is open and had its Welcome; returns false otherwise. */
  send(message: ToServer): boolean;
  /** Server of the open stream, after its Welcome. */
  readonly server: string | undefined;
  /** Resolves when aborted. */
  run(): Promise<void>;
}

/** Longest retry time of a GoAway, so that it cannot disconnect a node for hours; the shortest is the back-off. */
const MAX_AWAY_MS = 60_000;
/** A stream that lasted longer than this resets the back-off. */
const SETTLED_MS = 5000;

/** Opens nothing before `run`, which is called once. */
export function createSyncClient(modules: ClientModules): SyncClient {
  const { core, servers, clock, log, signal } = modules;
  const backoff = createBackoff({ minMs: 100, maxMs: 2000 });
  let session: Session | undefined;
  let server = "";
  let problem: string | undefined;
  let welcome = false;

  /** Runs one stream until it ends; resolves with the reason if the core left it. */
  async function serve(address: string): Promise<Leave | undefined> {
    const connection = await modules.connect(address, signal);
    const over = new AbortController();
    try {
      if (signal.aborted) return undefined;
      server = address;
      session = createSession(connection.stream, { ...modules, onWelcome: () => welcomed(address, connection, over) });
      return await session.run();
    } finally {
      core.step({ is: "closed" });
      session = undefined;
      over.abort();
      connection.close();
    }
  }

  function welcomed(address: string, connection: Connection, over: AbortController): void {
    problem = undefined;
    servers.reportSuccess();
    welcome = true;
    log.info("Connected to an apiserver", { server: address });
    modules.connected?.(connection, over.signal);
  }

  /** Logs why the core left a stream; returns the time to wait before the next one. */
  function left(address: string, { reason, afterMs = 0 }: Leave): number {
    log.info("Stream ended, reconnecting", { server: address, reason });
    return Math.min(Math.max(afterMs, backoff.nextMs()), MAX_AWAY_MS);
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

  /** One stream, or one try; resolves with the time to wait before the next one, undefined = none. */
  async function runOnce(address: string): Promise<number | undefined> {
    const started = clock.now();
    let waitMs: number | undefined;
    welcome = false;
    try {
      const leave = await serve(address);
      if (leave !== undefined) waitMs = left(address, leave);
    } catch (thrown) {
      failed(address, thrown);
    }
    if (clock.now() - started > SETTLED_MS) backoff.reset();
    // Also back off from a server that sends Welcome and then ends the stream: no tight loop.
    return waitMs ?? (servers.exhausted || welcome ? backoff.nextMs() : undefined);
  }

  return {
    send: (message) => session?.send(message) ?? false,
    get server() {
      return session?.welcomed === true ? server : undefined;
    },
    async run() {
      while (!signal.aborted) {
        const waitMs = await runOnce(servers.next());
        if (waitMs !== undefined) await sleep(clock, waitMs, signal);
      }
    },
  };
}
