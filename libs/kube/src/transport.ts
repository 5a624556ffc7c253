/**
 * HTTP to one Kubernetes API: JSON calls with a deadline, and open streams for watches.
 *
 * In: a request relative to the server. Out: parsed JSON, or the body of a stream. Refusals and broken connections are
 * KubeErrors. Streams share one HTTP/2 connection where the server speaks it.
 */
import type { RequestOptions } from "node:https";
import type { Readable } from "node:stream";
import { URL } from "node:url";
import type { KubeAccess } from "./config.js";
import { KubeError, statusError } from "./errors.js";
import { createHttp1Pool, type HttpResponse } from "./http1-pool.js";
import { createHttp2Connection } from "./http2-connection.js";
import { createTunnel } from "./tunnel.js";
import { unlessAborted } from "./unless-aborted.js";

export interface KubeRequest {
  /** GET for `stream`. */
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** `/api/v1/namespaces/default/services` */
  readonly path: string;
  /** Values as text; they are encoded here. */
  readonly query?: Readonly<Record<string, string>>;
  /** Sent as JSON; undefined: no body. Ignored by `stream`. */
  readonly body?: unknown;
  /** `application/json` unless given. */
  readonly contentType?: string;
  /** Ends the request with `KUBE_UNREACHABLE`, and the body of a stream with an error that is no KubeError. */
  readonly signal?: AbortSignal | undefined;
  /** Limit until the whole answer (json) or its headers (stream) arrived; 15 s unless given. */
  readonly timeoutMs?: number;
}

export interface Transport {
  /** As in `KubeAccess`, for errors. */
  readonly server: string;
  /** Rejects with `KUBE_STATUS` from status 400 on, `KUBE_UNREACHABLE`, `KUBE_ANSWER` or `KUBE_CONFIG`. */
  json<T>(request: KubeRequest): Promise<T>;
  /** A GET. The caller reads and destroys the body. */
  stream(request: KubeRequest): Promise<Readable>;
  /** Ends all connections with the requests on them. */
  close(): void;
}

type Bounded = KubeRequest & { readonly signal: AbortSignal };

const DEADLINE_MS = 15_000;

/** Opens no connection before the first request. The caller closes it. */
export function createTransport(access: KubeAccess): Transport {
  const base = new URL(access.server);
  const tunnel = access.proxy === undefined ? undefined : createTunnel(access.proxy, base);
  const http1 = createHttp1Pool(base, tunnel);
  const http2 = base.protocol === "https:" ? createHttp2Connection(base, undefined, tunnel?.dial) : undefined;

  async function authorized(call: Bounded, payload: Buffer | undefined): Promise<RequestOptions & { path: string }> {
    const query = new URLSearchParams(call.query).toString();
    const path = `${base.pathname.replace(/\/$/, "")}${call.path}${query === "" ? "" : `?${query}`}`;
    const options = { method: call.method, path, headers: headersOf(call, payload) };
    // A credential plugin has no deadline.
    await unlessAborted(access.authorize(options), call.signal);
    return options;
  }

  async function ask(call: Bounded): Promise<HttpResponse> {
    const payload = call.body === undefined ? undefined : Buffer.from(JSON.stringify(call.body));
    // During a DNS lookup a request does not react to its signal.
    return unlessAborted(http1.request(await authorized(call, payload), payload, call.signal), call.signal);
  }

  async function openStream(call: Bounded): Promise<HttpResponse> {
    const options = await authorized(call, undefined);
    return (await http2?.get(options, call.signal)) ?? http1.request(options, undefined, call.signal);
  }

  /** Returns the body; throws a KubeError for a refusal and when there is no answer. */
  async function bodyOf(call: Bounded, response: Promise<HttpResponse>): Promise<Readable> {
    const { status, body } = await response.catch((cause) => {
      throw cause instanceof KubeError ? cause : unreachable(access.server, call, cause);
    });
    if (status < 400) return body;
    throw statusError(call.method, call.path, status, await readAll(call, body), access.credential);
  }

  function readAll(call: Bounded, body: Readable): Promise<string> {
    return text(body).catch((cause) => {
      throw unreachable(access.server, call, cause);
    });
  }

  return {
    server: access.server,
    async json<T>(call: KubeRequest): Promise<T> {
      const answer = await withDeadline(call, async (bounded) => readAll(bounded, await bodyOf(bounded, ask(bounded))));
      return parseAnswer<T>(call.path, answer);
    },
    async stream(call) {
      return withDeadline(call, async (bounded, keepBound) => {
        const body = await bodyOf(bounded, openStream(bounded));
        keepBound(body);
        return body;
      });
    },
    close() {
      tunnel?.close();
      http1.close();
      http2?.close();
    },
  };
}

/**
 * Runs `work` with a signal that aborts with the caller's and at the deadline. The deadline ends with `work`; a body
 * passed to `keepBound` stays bound to the caller's signal until it closes.
 */
async function withDeadline<T>(
  call: KubeRequest,
  work: (bounded: Bounded, keepBound: (body: Readable) => void) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const timeoutMs = call.timeoutMs ?? DEADLINE_MS;
  const timer = setTimeout(() => controller.abort(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  const follow = () => controller.abort(call.signal?.reason);
  const unlink = () => call.signal?.removeEventListener("abort", follow);
  if (call.signal?.aborted === true) follow();
  call.signal?.addEventListener("abort", follow, { once: true });
  let bound = false;
  try {
    return await work({ ...call, signal: controller.signal }, (body) => {
      bound = true;
      body.once("close", unlink);
    });
  } finally {
    clearTimeout(timer);
    if (!bound) unlink();
  }
}

function headersOf(call: KubeRequest, payload: Buffer | undefined): Record<string, string | number> {
  const headers: Record<string, string | number> = { accept: "application/json", "user-agent": "isthmus" };
  if (payload === undefined) return headers;
  return { ...headers, "content-type": call.contentType ?? "application/json", "content-length": payload.length };
}

async function text(body: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}

function parseAnswer<T>(path: string, answer: string): T {
  try {
    return JSON.parse(answer) as T;
  } catch (cause) {
    throw new KubeError({ code: "KUBE_ANSWER", path }, `Cannot read the answer to "${path}": it is not JSON`, {
      cause,
    });
  }
}

function unreachable(server: string, call: Bounded, cause: unknown): KubeError {
  const why = call.signal.aborted ? call.signal.reason : cause;
  const reason = why instanceof Error ? why.message : String(why);
  return new KubeError(
    { code: "KUBE_UNREACHABLE", server },
    `Cannot ${call.method} "${call.path}" at "${server}": ${reason === "" ? ((why as { code?: string }).code ?? "no connection") : reason}`,
    { cause },
  );
}
