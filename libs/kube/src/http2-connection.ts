/**
 * One HTTP/2 connection to a Kubernetes API for all watches of a process, which knows within seconds when it is dead.
 *
 * A watch is silent for minutes and well, so nothing in it tells that its server lost power or that a middlebox forgot it.
 * HTTP/2 has a ping: no answer, and every stream on the connection ends with an error. Made at the first stream, made anew
 * after it ended and when our certificate changed.
 */
import type { RequestOptions } from "node:https";
import type { HttpResponse } from "./http1-pool.js";
import {
  answerOf,
  beginStream,
  endLink,
  type Http2Times,
  type Link,
  leaveLink,
  openLink,
  withCode,
} from "./http2-link.js";

export interface Http2Connection {
  /** `options`: path, TLS and headers of an authorized GET. undefined: the server speaks HTTP/1.1 only. */
  get(options: RequestOptions & { readonly path: string }, signal: AbortSignal): Promise<HttpResponse | undefined>;
  close(): void;
}

const TIMES: Http2Times = { pingEveryMs: 3000, pingMs: 4000, connectMs: 5000 };
const TRIES = 3;

export function createHttp2Connection(base: URL, times: Http2Times = TIMES): Http2Connection {
  let identity = "";
  let current: Promise<Link | undefined> | undefined;

  function link(options: RequestOptions): Promise<Link | undefined> {
    const wanted = identityOf(options);
    if (identity !== wanted) leave();
    identity = wanted;
    current ??= begin(options);
    return current;
  }

  function begin(options: RequestOptions): Promise<Link | undefined> {
    const made = openLink(base, options, times).then((opened) => {
      opened?.session.once("goaway", forget);
      opened?.session.once("close", forget);
      return opened;
    });
    const forget = (): void => {
      if (current === made) leave();
    };
    made.catch(forget);
    return made;
  }

  function leave(): void {
    current?.then(
      (opened) => opened && leaveLink(opened),
      () => undefined,
    );
    current = undefined;
  }

  return {
    async get(options, signal) {
      const headers = { ...lowerCased(options), ":method": "GET", ":path": options.path };
      for (let tries = 1; ; tries++) {
        const used = link(options);
        const opened = await unlessAborted(used, signal);
        if (opened === undefined) return undefined;
        const stream = beginStream(opened, headers, signal);
        const status = stream === undefined ? "refused" : await answerOf(stream);
        if (stream !== undefined && status !== "refused") return { status, body: stream };
        // The connection was about to end, and the server did not look at it: another one takes it.
        if (current === used) leave();
        if (tries === TRIES) throw withCode("ECONNRESET", "the server takes no more streams");
      }
    },
    close() {
      current?.then(
        (opened) => opened && endLink(opened),
        () => undefined,
      );
      current = undefined;
    },
  };
}

/** What the server knows us by on this connection; a token goes with each request. */
function identityOf({ ca, cert, key, servername }: RequestOptions): string {
  return JSON.stringify([ca, cert, key, servername].map(String));
}

function lowerCased({ headers = {}, auth }: RequestOptions): Record<string, string> {
  const entries = Object.entries(headers).map(([name, value]): [string, string] => [name.toLowerCase(), `${value}`]);
  const basic = auth ? { authorization: `Basic ${Buffer.from(auth).toString("base64")}` } : {};
  return { ...basic, ...Object.fromEntries(entries) };
}

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  return Promise.race([work, aborted]);
}
