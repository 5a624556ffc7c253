/**
 * The socket that the plugin calls: one request and one answer per connection (apps/cni/src/agent.c is the client).
 *
 * A call whose plugin disconnected is completed nevertheless, so that the repeated call finds its result. At most 256
 * connections at once.
 */
import { chmod, mkdir, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { MeshError } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { CniError, errorJson } from "./cni-error.js";
import { parseRequest, REQUEST_MAX } from "./cni-request.js";
import type { PodCalls } from "./pod-calls.js";

const MAX_CONNECTIONS = 256;
const REQUEST_TIMEOUT_MS = 10_000;
/** Most bytes of a unix socket's path, without the terminating zero. */
const PATH_MAX = 107;

export interface CniServerModules {
  /** Gets each call that was refused or failed. */
  readonly log: Logger;
  /** Runs each valid request; what it rejects with is the answer. */
  readonly calls: PodCalls;
  /** Ends the acceptance of connections; calls that run are answered. */
  readonly signal: AbortSignal;
}

/**
 * Resolves once it listens; `closed` resolves when the server is closed and every call is answered. Rejects when it
 * cannot listen.
 */
export async function startCniServer(path: string, modules: CniServerModules): Promise<{ closed: Promise<void> }> {
  const { log, signal } = modules;
  if (Buffer.byteLength(path) > PATH_MAX) {
    throw new MeshError(
      { code: "CNI_SOCKET", path },
      `Cannot listen on "${path}": the path of a unix socket has at most 107 bytes`,
    );
  }
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await rm(path, { force: true });
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    serve(socket, modules).catch((error: unknown) => {
      log.debug("CNI connection lost", { error });
      socket.destroy();
    });
  });
  server.maxConnections = MAX_CONNECTIONS;
  await listen(server, path);
  await chmod(path, 0o600);
  const closed = new Promise<void>((resolve) => server.on("close", resolve));
  if (signal.aborted) server.close();
  signal.addEventListener("abort", () => server.close(), { once: true });
  return { closed };
}

async function serve(socket: Socket, { calls, log }: CniServerModules): Promise<void> {
  const request = await receive(socket);
  const answer = await answerTo(request, calls, log);
  socket.end(answer);
}

async function answerTo(bytes: Buffer, calls: PodCalls, log: Logger): Promise<string> {
  try {
    return frame("ok", await calls(parseRequest(bytes)));
  } catch (error) {
    if (error instanceof CniError) log.info("CNI call refused", { error });
    else log.warn("CNI call failed", { error });
    return frame("error", errorJson(error));
  }
}

function frame(status: "ok" | "error", json: string): string {
  return `${status} ${Buffer.byteLength(json)}\n${json}`;
}

/** The request, up to the end of the stream; rejects when it is too long or does not end in time. */
function receive(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    socket.setTimeout(REQUEST_TIMEOUT_MS, () =>
      reject(new Error(`request not complete after ${REQUEST_TIMEOUT_MS} ms`)),
    );
    socket.on("data", (chunk) => {
      size += chunk.length;
      if (size > REQUEST_MAX) reject(new Error(`request longer than ${REQUEST_MAX} bytes`));
      else chunks.push(chunk);
    });
    socket.on("end", () => {
      socket.setTimeout(0);
      resolve(Buffer.concat(chunks));
    });
    socket.on("error", reject);
  });
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
