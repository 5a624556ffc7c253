/**
 * One HTTP/2 connection to a Kubernetes API for all watches of a process. A dead connection is detected within seconds.
 *
 * A healthy watch may be silent for minutes, so silence does not show that the server lost power or that a middlebox
 * dropped the connection. HTTP/2 pings do: without an answer, every stream on the connection ends with an error. The
 * connection is opened for the first stream, and again after it ended or when the client certificate changed.
 */
import type { RequestOptions } from "node:https";
import type { Socket } from "node:net";
import type { HttpResponse } from "./http1-pool.js";
import {
  awaitStatus,
  beginStream,
  endLink,
  type Http2Times,
  type Link,
  leaveLink,
  openLink,
  withCode,
} from "./http2-link.js";
import { unlessAborted } from "./unless-aborted.js";

export interface ConnectionTimes extends Http2Times {
  /** A server that negotiated HTTP/1.1 is not asked for HTTP/2 again within this time. */
  readonly http1Ms: number;
}

export interface Http2Connection {
  /** `options`: path, TLS and headers of an authorized GET. undefined: the server speaks HTTP/1.1 only. */
  get(options: RequestOptions & { readonly path: string }, signal: AbortSignal): Promise<HttpResponse | undefined>;
  /** Closes permanently; every stream ends with an error. */
  close(): void;
}

const TIMES: ConnectionTimes = { pingEveryMs: 3000, pingMs: 4000, connectMs: 5000, http1Ms: 60_000 };
const TRIES = 3;

/** `dial`: opens TCP connections to the server through a proxy; absent: they are direct. */
export function createHttp2Connection(
  base: URL,
  times: ConnectionTimes = TIMES,
  dial?: () => Promise<Socket>,
): Http2Connection {
  const links = new Set<Link>();
  let identity = "";
  let current: Promise<Link | undefined> | undefined;
  let closed: Error | undefined;

  function link(options: RequestOptions): Promise<Link | undefined> {
    const wanted = identityOf(options);
    if (identity !== wanted) leave();
    identity = wanted;
    current ??= begin(options);
    return current;
  }

  function begin(options: RequestOptions): Promise<Link | undefined> {
    const forget = (): void => {
      if (current === made) leave();
    };
    const made = openLink(base, options, times, dial).then((opened) => {
      if (opened === undefined) setTimeout(forget, times.http1Ms).unref();
      else keep(opened, forget);
      return opened;
    });
    made.catch(forget);
    return made;
  }

  function keep(opened: Link, forget: () => void): void {
    if (closed !== undefined) endLink(opened, closed);
    links.add(opened);
    opened.session.once("goaway", forget);
    opened.session.once("close", () => {
      links.delete(opened);
      forget();
    });
  }

  function leave(): void {
    current?.then(
      // Callers that already wait for this connection begin their streams first.
      (opened) => opened && setImmediate(() => leaveLink(opened)),
      () => undefined,
    );
    current = undefined;
  }

  return {
    async get(options, signal) {
      const headers = { ...lowerCased(options), ":method": "GET", ":authority": base.host, ":path": options.path };
      for (let tries = 1; ; tries++) {
        if (closed !== undefined) throw closed;
        const used = link(options);
        const opened = await unlessAborted(used, signal);
        if (opened === undefined) return undefined;
        const stream = beginStream(opened, headers, signal);
        const status = stream === undefined ? "refused" : await awaitStatus(stream);
        if (stream !== undefined && status !== "refused") return { status, body: stream };
        // The connection is ending or full, and the server did not process the stream: try another connection.
        if (current === used) leave();
        if (tries === TRIES) throw withCode("ECONNRESET", "the server accepts no more streams");
      }
    },
    close() {
      closed = withCode("ECONNRESET", "the connection was closed by this process");
      for (const each of links) endLink(each, closed);
      current = undefined;
    },
  };
}

/** The TLS identity of the client, fixed for a connection; a token is sent with each request. */
function identityOf({ ca, cert, key, servername }: RequestOptions): string {
  return JSON.stringify([ca, cert, key, servername].map(String));
}

function lowerCased({ headers = {}, auth }: RequestOptions): Record<string, string> {
  const entries = Object.entries(headers).map(([name, value]): [string, string] => [name.toLowerCase(), `${value}`]);
  const basic = auth ? { authorization: `Basic ${Buffer.from(auth).toString("base64")}` } : {};
  return { ...basic, ...Object.fromEntries(entries) };
}
