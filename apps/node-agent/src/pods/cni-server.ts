/**
 * The socket that the plugin calls: one request and one answer per connection (apps/cni/src/agent.c is the other side).
 *
 * A call whose plugin has gone is finished all the same, so that its repetition finds what it made. At most 256 at once.
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
/** What the kernel keeps of a unix socket's path, without the closing zero. */
const PATH_MAX = 107;

export interface CniServerModules {
  readonly log: Logger;
  readonly calls: PodCalls;
  readonly signal: AbortSignal;
}

/** Listens; resolves to a promise of having closed, with every call answered. Rejects when it cannot listen. */
export async function startCniServer(path: string, modules: CniServerModules): Promise<{ closed: Promise<void> }> {
  const { log, signal } = modules;
  if (Buffer.byteLength(path) > PATH_MAX) {
    throw new MeshError(
      { code: "CNI_SOCKET", path },
      `Cannot listen on "${path}": a socket's path has at most 107 bytes`,
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

function frame(word: "ok" | "error", json: string): string {
  return `${word} ${Buffer.byteLength(json)}\n${json}`;
}

/** The request, up to the end of the stream; rejects when it is too long or does not end in time. */
function receive(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    socket.setTimeout(REQUEST_TIMEOUT_MS, () => reject(new Error("no whole request in time")));
    socket.on("data", (chunk) => {
      size += chunk.length;
      if (size > REQUEST_MAX) reject(new Error("request too long"));
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
