/**
 * HTTP to one Kubernetes API: JSON calls with a deadline, and open streams for watches.
 *
 * In: a request relative to the server. Out: parsed JSON, or the response of a stream. Refusals and broken connections are
 * KubeErrors. A call on a pooled connection that the server had closed is repeated once.
 */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest, type RequestOptions } from "node:https";
import { URL } from "node:url";
import type { KubeAccess } from "./config.js";
import { KubeError, statusError } from "./errors.js";

export interface KubeRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** `/api/v1/namespaces/default/services` */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** `application/json` unless given. */
  readonly contentType?: string;
  readonly signal?: AbortSignal | undefined;
  /** Until the whole answer is in (json) or its headers are (stream); 15 s unless given. */
  readonly timeoutMs?: number;
}

export interface Transport {
  readonly server: string;
  json<T>(request: KubeRequest): Promise<T>;
  /** The caller reads and destroys the response. */
  stream(request: KubeRequest): Promise<IncomingMessage>;
  close(): void;
}

const DEADLINE_MS = 15_000;
const KEEPALIVE_MS = 10_000;

export function createTransport(access: KubeAccess): Transport {
  const base = new URL(access.server);
  const secure = base.protocol === "https:";
  const agent = new (secure ? HttpsAgent : HttpAgent)({ keepAlive: true, maxFreeSockets: 4 });
  const send = secure ? httpsRequest : httpRequest;

  async function open(call: KubeRequest): Promise<IncomingMessage> {
    const payload = call.body === undefined ? undefined : Buffer.from(JSON.stringify(call.body));
    const options: RequestOptions = { headers: headersOf(call, payload) };
    await access.authorize(options);
    const query = new URLSearchParams(call.query).toString();
    return new Promise((resolve, reject) => {
      const request = send({
        ...options,
        protocol: base.protocol,
        hostname: base.hostname.replace(/^\[|\]$/g, ""),
        port: base.port === "" ? (secure ? 443 : 80) : base.port,
        path: `${base.pathname.replace(/\/$/, "")}${call.path}${query === "" ? "" : `?${query}`}`,
        method: call.method,
        agent,
        signal: call.signal,
      });
      request.once("socket", (socket) => socket.setKeepAlive(true, KEEPALIVE_MS));
      request.once("response", resolve);
      request.once("error", (cause) => reject(Object.assign(cause, { reused: request.reusedSocket })));
      request.end(payload);
    });
  }

  async function opened(call: KubeRequest): Promise<IncomingMessage> {
    try {
      return await open(call).catch((cause) => {
        if (wasStale(cause) && call.signal?.aborted !== true) return open(call);
        throw cause;
      });
    } catch (cause) {
      if (cause instanceof KubeError) throw cause;
      throw unreachable(access.server, call, cause);
    }
  }

  return {
    server: access.server,
    async json<T>(call: KubeRequest): Promise<T> {
      const text = await withDeadline(call, async (bounded) => {
        const response = await opened(bounded);
        const body = await readAll(response).catch((cause) => {
          throw unreachable(access.server, call, cause);
        });
        if ((response.statusCode ?? 0) >= 400)
          throw statusError(call.method, call.path, response.statusCode ?? 0, body, access.credential);
        return body;
      });
      return parseAnswer<T>(call.path, text);
    },
    async stream(call) {
      return withDeadline(call, async (bounded, hold) => {
        const response = await opened(bounded);
        if ((response.statusCode ?? 0) >= 400)
          throw statusError(
            call.method,
            call.path,
            response.statusCode ?? 0,
            await readAll(response),
            access.credential,
          );
        hold(response);
        return response;
      });
    },
    close: () => agent.destroy(),
  };
}

/**
 * Runs `work` with a signal that fires with the caller's, and at the deadline. The deadline ends with `work`; a response
 * that is held stays bound to the caller's signal until it closes.
 */
async function withDeadline<T>(
  call: KubeRequest,
  work: (bounded: KubeRequest, hold: (response: IncomingMessage) => void) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const timeoutMs = call.timeoutMs ?? DEADLINE_MS;
  const timer = setTimeout(() => controller.abort(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  const follow = () => controller.abort(call.signal?.reason);
  const unlink = () => call.signal?.removeEventListener("abort", follow);
  if (call.signal?.aborted === true) follow();
  call.signal?.addEventListener("abort", follow, { once: true });
  let held = false;
  try {
    return await work({ ...call, signal: controller.signal }, (response) => {
      held = true;
      response.once("close", unlink);
    });
  } finally {
    clearTimeout(timer);
    if (!held) unlink();
  }
}

function headersOf(call: KubeRequest, payload: Buffer | undefined): Record<string, string | number> {
  const headers: Record<string, string | number> = { accept: "application/json", "user-agent": "isthmus" };
  if (payload === undefined) return headers;
  return { ...headers, "content-type": call.contentType ?? "application/json", "content-length": payload.length };
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}

function parseAnswer<T>(path: string, text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw new KubeError({ code: "KUBE_ANSWER", path }, `Cannot read the answer to "${path}": it is not JSON`, {
      cause,
    });
  }
}

function wasStale(cause: unknown): boolean {
  const { reused, code } = cause as { reused?: boolean; code?: string };
  return reused === true && (code === "ECONNRESET" || code === "EPIPE");
}

function unreachable(server: string, call: KubeRequest, cause: unknown): unknown {
  const aborted = call.signal?.aborted === true;
  const why = aborted ? call.signal?.reason : cause;
  const reason = why instanceof Error ? why.message : String(why);
  return new KubeError(
    { code: "KUBE_UNREACHABLE", server },
    `Cannot ${call.method} "${call.path}" at "${server}": ${reason === "" ? ((why as { code?: string }).code ?? "no connection") : reason}`,
    { cause },
  );
}
