/**
 * A gRPC connection with the stream of records, and one for queries beside it. The files for mutual TLS are read again for each connection, so that renewed
 * certificates need no restart.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type ChannelCredentials, credentials, Metadata } from "@grpc/grpc-js";
import { AdminClient, StateSyncClient, type ToAgent, type ToServer } from "@isthmus/proto";
import type { QueryStream } from "../queries/query-streams.js";

/** What the client needs of a stream. */
export interface SyncStream {
  /** Queues the message, in order. The result is not used. */
  write(message: ToServer): unknown;
  /** Each message, in order. The stream is read once this listener is added. */
  on(event: "data", listener: (message: ToAgent) => void): unknown;
  /** The stream failed, or was cancelled. */
  on(event: "error", listener: (error: Error) => void): unknown;
  /** The server ended the stream. */
  on(event: "end", listener: () => void): unknown;
  /** Stops reading, so that flow control slows the server down. */
  pause(): unknown;
  /** Reads again after `pause`. */
  resume(): unknown;
  /** True between `pause` and `resume`. */
  isPaused(): boolean;
  /** Ends the stream at once; what was not read is lost. */
  cancel(): void;
}

export interface Connection {
  /** Open, and not written or listened to yet. */
  readonly stream: SyncStream;
  /** Opens a stream for queries on the same connection. */
  openQueries(): QueryStream;
  /** Closes the connection; the caller must call it when the stream is over. */
  close(): void;
}

/** Opens a connection; rejects when this takes longer than a few seconds, and when aborted. */
export type Connect = (address: string, signal: AbortSignal) => Promise<Connection>;

/** The name in the certificate of every server, whatever its address: addresses change, so TLS does not verify them. */
const SERVER_NAME = "clustermesh-apiserver.mesh-system.svc";

const CHANNEL = {
  "grpc.ssl_target_name_override": SERVER_NAME,
  "grpc.default_authority": SERVER_NAME,
  "grpc.max_receive_message_length": -1,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 2000,
} as const;

const CONNECT_MS = 3000;

/** How often the server is pinged, and how long its answer may take. */
export interface Keepalive {
  /** Time between two pings, in milliseconds. */
  readonly everyMs: number;
  /** Time from a ping until a connection without an answer is closed, in milliseconds. */
  readonly timeoutMs: number;
}

/** A dead server is detected after 13 s. */
const KEEPALIVE: Keepalive = { everyMs: 10_000, timeoutMs: 3000 };

/** `tlsDir`: ca.crt, tls.crt, tls.key. */
export function createConnect(tlsDir: string, { everyMs, timeoutMs } = KEEPALIVE): Connect {
  const channel = { ...CHANNEL, "grpc.keepalive_time_ms": everyMs, "grpc.keepalive_timeout_ms": timeoutMs };
  return async (address, signal) => {
    const secrets = await loadCredentials(tlsDir);
    const client = new StateSyncClient(address, secrets, channel);
    try {
      await ready(client, signal);
      return {
        stream: client.subscribe(new Metadata()),
        openQueries: () => new AdminClient(address, secrets, { channelOverride: client.getChannel() }).serve(),
        close: () => client.close(),
      };
    } catch (thrown) {
      client.close();
      throw thrown;
    }
  };
}

async function loadCredentials(folder: string): Promise<ChannelCredentials> {
  const read = (name: string) => readFile(join(folder, name));
  const [ca, certificate, key] = await Promise.all([read("ca.crt"), read("tls.crt"), read("tls.key")]);
  return credentials.createSsl(ca, key, certificate);
}

function ready(client: StateSyncClient, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) return onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    client.waitForReady(Date.now() + CONNECT_MS, (error) => {
      signal.removeEventListener("abort", onAbort);
      if (error === undefined) resolve();
      else reject(error);
    });
  });
}
