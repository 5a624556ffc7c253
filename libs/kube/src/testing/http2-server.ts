/** For tests: an HTTP/2 server, and connections to it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createSecureServer, type SecureServerOptions, type ServerHttp2Session } from "node:http2";
import type { RequestOptions } from "node:https";
import type { AddressInfo } from "node:net";
import type { Readable } from "node:stream";
import type { TestContext } from "node:test";
import { createAuthority, issue, type KeyPair } from "@isthmus/pki";
import type { HttpResponse } from "../http1-pool.js";
import { type ConnectionTimes, createHttp2Connection, type Http2Connection } from "../http2-connection.js";

export const TIMES: ConnectionTimes = { pingEveryMs: 20, pingMs: 2000, connectMs: 5000, http1Ms: 60_000 };

const authority = await createAuthority("isthmus-test");
const server: KeyPair = await issue(authority, { cn: "api", sans: ["localhost", "127.0.0.1"], usages: ["server"] });
export const ca = authority.certificate;
export const pair = { cert: server.certificate, key: server.key };

export interface TestServer {
  readonly port: number;
  readonly sessions: readonly ServerHttp2Session[];
}

/** Answers with the path and the Authorization header, /big with a megabyte; streams under /open stay open. */
export async function startHttp2(t: TestContext, options: SecureServerOptions = {}, port = 0): Promise<TestServer> {
  const sessions: ServerHttp2Session[] = [];
  const listener = createSecureServer({ ...pair, ...options }).listen(port, "127.0.0.1");
  listener.on("session", (session) => {
    session.on("error", () => undefined);
    sessions.push(session);
  });
  listener.on("stream", (stream, headers) => {
    const path = headers[":path"] ?? "";
    stream.on("error", () => undefined);
    stream.respond({ ":status": 200 });
    stream.write(path === "/big" ? Buffer.alloc(1 << 20) : `${path} ${headers.authorization}`);
    if (!path.startsWith("/open")) stream.end();
  });
  await once(listener, "listening");
  t.after(() => {
    for (const session of sessions) session.destroy();
    listener.close();
  });
  return { sessions, port: (listener.address() as AddressInfo).port };
}

export type Get = (path: string, options?: RequestOptions) => Promise<HttpResponse | undefined>;

export function connectTo(t: TestContext, port: number, times = TIMES): { connection: Http2Connection; get: Get } {
  const connection = createHttp2Connection(new URL(`https://127.0.0.1:${port}`), times);
  t.after(() => connection.close());
  const { signal } = new AbortController();
  return { connection, get: (path, options = {}) => connection.get({ ca, ...options, path }, signal) };
}

export async function text(body: Readable | undefined): Promise<string> {
  assert.ok(body);
  let all = "";
  for await (const chunk of body.setEncoding("utf8")) all += chunk;
  return all;
}

/** Certificates of clients, each with its own key. */
export async function clientPairs(...names: readonly string[]): Promise<{ cert: string; key: string }[]> {
  const clients = await createAuthority("clients");
  return Promise.all(
    names.map(async (cn) => {
      const { certificate: cert, key } = await issue(clients, { cn, usages: ["client"] });
      return { cert, key };
    }),
  );
}
