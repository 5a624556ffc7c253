/**
 * One HTTP/2 connection over TLS and its streams. While it lives it is pinged: without an answer it ends, and every stream on
 * it with an error.
 */
import { once } from "node:events";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  constants,
  type OutgoingHttpHeaders,
} from "node:http2";
import type { RequestOptions } from "node:https";
import { isIP } from "node:net";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";

export interface Http2Times {
  /** Between an answer and the next ping. */
  readonly pingEveryMs: number;
  /** For the answer of a ping. */
  readonly pingMs: number;
  /** For TCP and TLS. */
  readonly connectMs: number;
}

/** What may be on its way in one stream and in all: more streams than we have watches fit beside each other. */
const STREAM_WINDOW = 1 << 20;
const CONNECTION_WINDOW = 32 << 20;

/** One connection. Left: no more streams begin on it, and it ends with its last one. */
export interface Link {
  readonly session: ClientHttp2Session;
  readonly socket: TLSSocket;
  streams: number;
  left: boolean;
}

/** undefined: the server speaks HTTP/1.1 only. */
export async function openLink(base: URL, options: RequestOptions, times: Http2Times): Promise<Link | undefined> {
  const socket = connectTls(tlsOptions(base, options));
  await secured(socket, times.connectMs);
  if (socket.alpnProtocol !== "h2") {
    socket.destroy();
    return undefined;
  }
  const link = { session: await start(base, socket), socket, streams: 0, left: false };
  link.session.on("error", () => undefined); // each of its streams says so
  keepAlive(link, times);
  return link;
}

/** Rejects when it ends before, however it ends. */
function secured(socket: TLSSocket, connectMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      clearTimeout(late);
      socket.destroy();
      reject(error);
    };
    const late = setTimeout(() => fail(withCode("ETIMEDOUT", `no connection within ${connectMs} ms`)), connectMs);
    socket.on("error", fail);
    socket.once("close", () => fail(withCode("ECONNRESET", "the connection was closed before it was secure")));
    socket.once("secureConnect", () => {
      clearTimeout(late);
      resolve();
    });
  });
}

async function start(base: URL, socket: TLSSocket): Promise<ClientHttp2Session> {
  const session = connectHttp2(base.origin, {
    createConnection: () => socket,
    settings: { initialWindowSize: STREAM_WINDOW, enablePush: false },
    maxSessionMemory: CONNECTION_WINDOW >> 20,
  });
  await once(session, "connect");
  session.setLocalWindowSize(CONNECTION_WINDOW);
  return session;
}

/** A stream, unless the connection is over. */
export function beginStream(
  link: Link,
  headers: OutgoingHttpHeaders,
  signal: AbortSignal,
): ClientHttp2Stream | undefined {
  if (link.session.closed || link.session.destroyed) return undefined;
  const stream = link.session.request(headers, { endStream: true, signal });
  link.streams++;
  stream.once("close", () => {
    if (--link.streams === 0 && link.left) endLink(link);
  });
  return stream;
}

/** The status of the answer, or that the server did not look at it; rejects when the stream ends otherwise. */
export function answerOf(stream: ClientHttp2Stream): Promise<number | "refused"> {
  return new Promise((resolve, reject) => {
    stream.once("response", (headers) => resolve(headers[":status"] ?? 0));
    stream.once("error", (error) => {
      if (stream.rstCode === constants.NGHTTP2_REFUSED_STREAM) resolve("refused");
      else reject(error);
    });
    stream.once("close", () => reject(withCode("ECONNRESET", "the stream was closed before an answer")));
  });
}

/** Its streams stay on it until they end, and then it ends. */
export function leaveLink(link: Link): void {
  link.left = true;
  if (link.streams === 0) endLink(link);
}

/** Now, with its streams: an orderly end would wait for the other side, which may be gone. */
export function endLink({ session, socket }: Link, cause?: Error): void {
  session.destroy(cause);
  socket.destroy();
}

/** Pings for as long as the connection lives; without an answer it ends, and with it its streams. */
function keepAlive(link: Link, { pingEveryMs, pingMs }: Http2Times): void {
  const { session } = link;
  let timer = setTimeout(ping, pingEveryMs);
  session.once("close", () => clearTimeout(timer));

  function ping(): void {
    if (session.destroyed) return;
    let answered = false;
    session.ping((error) => {
      answered = true;
      clearTimeout(timer);
      if (error === null && !session.destroyed) timer = setTimeout(ping, pingEveryMs);
    });
    const over = () => answered || endLink(link, withCode("ETIMEDOUT", `no answer to a ping within ${pingMs} ms`));
    // One more turn: a process that stood still has an answer waiting that it did not read.
    timer = setTimeout(() => setImmediate(over), pingMs);
  }
}

function tlsOptions(base: URL, { ca, cert, key, passphrase, pfx, rejectUnauthorized, servername }: RequestOptions) {
  const host = base.hostname.replace(/^\[|\]$/g, "");
  const name = servername ?? (isIP(host) === 0 ? host : "");
  const given = { ca, cert, key, passphrase, pfx, rejectUnauthorized };
  const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const port = base.port === "" ? 443 : Number(base.port);
  return { ...set, host, port, servername: name, ALPNProtocols: ["h2", "http/1.1"] } satisfies ConnectionOptions;
}

export function withCode(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
