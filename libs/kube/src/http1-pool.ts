/**
 * HTTP/1.1 to one server over a pool of connections.
 *
 * A request that is reset on a pooled connection is repeated once, also a POST: as a rule the server had closed the
 * connection while it was idle, and read nothing. If it died after it had read the request, a repeated create fails with
 * AlreadyExists, as after any lost answer.
 */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest, type RequestOptions } from "node:https";
import type { Readable } from "node:stream";
import { type Tunnel, tunnelAgent } from "./tunnel.js";

export interface HttpResponse {
  /** A status from 400 on is no error here; 0 when the server sent none. */
  readonly status: number;
  /** Ends with an error that has a code when the connection broke. */
  readonly body: Readable;
}

export interface Http1Pool {
  /** `options`: method, path, and TLS and headers of an authorized request. */
  request(options: RequestOptions, payload: Buffer | undefined, signal: AbortSignal): Promise<HttpResponse>;
  /** Destroys the connections, with the requests and bodies on them. */
  close(): void;
}

const KEEPALIVE_MS = 10_000;
const FREE = { maxFreeSockets: 4 };

/** `tunnel`: opens the connections through a proxy. */
export function createHttp1Pool(base: URL, tunnel?: Tunnel): Http1Pool {
  const secure = base.protocol === "https:";
  const agent =
    tunnel === undefined
      ? new (secure ? HttpsAgent : HttpAgent)({ keepAlive: true, ...FREE })
      : tunnelAgent(tunnel, secure, FREE);
  const send = secure ? httpsRequest : httpRequest;
  const { protocol } = base;
  const hostname = base.hostname.replace(/^\[|\]$/g, "");
  const port = base.port === "" ? (secure ? 443 : 80) : base.port;

  function once(options: RequestOptions, payload: Buffer | undefined, signal: AbortSignal): Promise<HttpResponse> {
    return new Promise((resolve, reject) => {
      const request = send({ ...options, protocol, hostname, port, agent, signal });
      request.once("socket", (socket) => socket.setKeepAlive(true, KEEPALIVE_MS));
      request.once("response", (body: IncomingMessage) => resolve({ status: body.statusCode ?? 0, body }));
      request.once("error", (cause) => reject(Object.assign(cause, { reused: request.reusedSocket })));
      request.end(payload);
    });
  }

  return {
    request: (options, payload, signal) =>
      once(options, payload, signal).catch((cause) => {
        if (wasStale(cause) && !signal.aborted) return once(options, payload, signal);
        throw cause;
      }),
    close: () => agent.destroy(),
  };
}

function wasStale(cause: unknown): boolean {
  const { reused, code } = cause as { reused?: boolean; code?: string };
  return reused === true && (code === "ECONNRESET" || code === "EPIPE");
}
