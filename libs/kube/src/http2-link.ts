/** One HTTP/2 connection over TLS and its streams. When the peer is dead, all of them end with an error. */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  constants,
  type OutgoingHttpHeaders,
} from "node:http2";
import type { RequestOptions } from "node:https";
import { isIP, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import { detectDeadPeer, type PingTimes } from "./http2-ping.js";

export interface Http2Times extends PingTimes {
  /** Limit for TCP, TLS and the server's SETTINGS. */
  readonly connectMs: number;
}

/** Flow-control windows of a stream and of the connection: 32 full streams fit, more than a process has watches. */
const STREAM_WINDOW = 1 << 20;
const CONNECTION_WINDOW = 32 << 20;

/** One connection. `left`: it takes no new streams and ends with its last one. */
export interface Link {
  /** Runs on `socket`; `endLink` destroys both. */
  readonly session: ClientHttp2Session;
  /** TLS that negotiated `h2`. */
  readonly socket: TLSSocket;
  /** Streams that were opened and are not closed. */
  streams: number;
  /** Set by `leaveLink`, never cleared. */
  left: boolean;
}

/** undefined: the server speaks HTTP/1.1 only. `dial`: opens the TCP connection through a proxy. */
export async function openLink(
  base: URL,
  options: RequestOptions,
  times: Http2Times,
  dial?: () => Promise<Socket>,
): Promise<Link | undefined> {
  const raw = dial === undefined ? {} : { socket: await dial() };
  const socket = connectTls({ ...tlsOptions(base, options), ...raw });
  const slow = () => socket.destroy(withCode("ETIMEDOUT", `no connection within ${times.connectMs} ms`));
  const late = setTimeout(slow, times.connectMs);
  try {
    await waitFor(socket, "secureConnect");
    if (socket.alpnProtocol === "h2") return await begin(base, socket, times);
    socket.destroy();
    return undefined;
  } catch (thrown) {
    socket.destroy();
    throw thrown;
  } finally {
    clearTimeout(late);
  }
}

async function begin(base: URL, socket: TLSSocket, times: Http2Times): Promise<Link> {
  const session = connectHttp2(base.origin, {
    createConnection: () => socket,
    settings: { initialWindowSize: STREAM_WINDOW, enablePush: false },
    maxSessionMemory: CONNECTION_WINDOW >> 20,
  });
  await waitFor(session, "remoteSettings"); // they contain the limit of streams
  session.setLocalWindowSize(CONNECTION_WINDOW);
  const link = { session, socket, streams: 0, left: false };
  detectDeadPeer(session, socket, times, () => {
    endLink(link, withCode("ETIMEDOUT", `no answer to a ping within ${times.pingMs} ms`));
  });
  return link;
}

/** Rejects when the connection ends before the event. Later errors are ignored here: each stream reports them. */
function waitFor(emitter: TLSSocket | ClientHttp2Session, event: "secureConnect" | "remoteSettings"): Promise<void> {
  return new Promise((resolve, reject) => {
    emitter.on("error", reject);
    emitter.once("close", () => reject(withCode("ECONNRESET", "the connection was closed before it could be used")));
    emitter.once(event, () => resolve());
  });
}

/** Opens a stream; undefined when the connection has ended or has as many streams as the server allows. */
export function beginStream(
  link: Link,
  headers: OutgoingHttpHeaders,
  signal: AbortSignal,
): ClientHttp2Stream | undefined {
  const { session, streams } = link;
  if (session.closed || session.destroyed) return undefined;
  // One more would wait until another ends, and watches do not end.
  if (streams >= (session.remoteSettings.maxConcurrentStreams ?? Number.POSITIVE_INFINITY)) return undefined;
  const stream = session.request(headers, { endStream: true, signal });
  link.streams++;
  stream.once("close", () => {
    if (--link.streams === 0 && link.left) endLink(link);
  });
  return stream;
}

/** The status of the answer, or "refused" if the server did not process the stream; rejects when it ends otherwise. */
export function awaitStatus(stream: ClientHttp2Stream): Promise<number | "refused"> {
  return new Promise((resolve, reject) => {
    stream.once("response", (headers) => resolve(headers[":status"] ?? 0));
    stream.once("error", (error) => {
      if (stream.rstCode === constants.NGHTTP2_REFUSED_STREAM) resolve("refused");
      else reject(error);
    });
    stream.once("close", () => reject(withCode("ECONNRESET", "the stream was closed before an answer")));
  });
}

/** Takes no new streams; the connection ends with its last one. */
export function leaveLink(link: Link): void {
  link.left = true;
  if (link.streams === 0) endLink(link);
}

/** Ends it at once, with its streams: an orderly end would wait for the peer, which may be dead. */
export function endLink({ session, socket }: Link, cause?: Error): void {
  session.destroy(cause);
  socket.destroy();
}

function tlsOptions(base: URL, { ca, cert, key, passphrase, pfx, rejectUnauthorized, servername }: RequestOptions) {
  const host = base.hostname.replace(/^\[|\]$/g, "");
  const name = servername ?? (isIP(host) === 0 ? host : "");
  const given = { ca, cert, key, passphrase, pfx, rejectUnauthorized };
  const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const port = base.port === "" ? 443 : Number(base.port);
  return { ...set, host, port, servername: name, ALPNProtocols: ["h2", "http/1.1"] } satisfies ConnectionOptions;
}

/** An Error with a `code`, as those of Node: `ECONNRESET`. */
export function withCode(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
