/** For tests: a TCP proxy before a store that simulates network faults, or another server at its address. */
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { freePort } from "@isthmus/testing";

/**
 * closed: does not listen. reset: resets each connection at once. silent: accepts and never answers. slow: delays every answer
 * by a second. garbage: answers with text that is no TLS. http: TLS with the store's certificate, but no gRPC.
 */
export type FrontMode = "pass" | "closed" | "reset" | "silent" | "slow" | "garbage" | "http";

export interface StoreFront {
  readonly port: number;
  /** Number of connections since the start. */
  readonly connections: number;
  /** Cuts open connections; new ones are handled by this mode. */
  set(mode: FrontMode): Promise<void>;
  /** Open connections stay open and forward nothing any more, like a peer that vanished. New ones are handled as before. */
  freeze(): void;
  close(): Promise<void>;
}

const SLOW_MS = 1000;

export async function startStoreFront(
  target: number,
  pair: { readonly certificate: string; readonly key: string },
): Promise<StoreFront> {
  const sockets = new Set<Socket>();
  let connections = 0;
  let mode: FrontMode = "pass";
  let generation = 0;
  const web = createTlsServer({ cert: pair.certificate, key: pair.key, ALPNProtocols: ["h2"] }, (socket) => {
    socket.on("error", () => undefined).end("HTTP/1.1 400 Bad Request\r\n\r\nthis is no etcd\r\n");
  });

  function accept(client: Socket): void {
    connections++;
    track(client);
    if (mode === "reset") client.resetAndDestroy();
    else if (mode === "garbage") client.end("220 mail.example.com ESMTP\r\n");
    else if (mode === "http") web.emit("connection", client);
    else if (mode === "pass" || mode === "slow") relay(client, mode === "slow" ? SLOW_MS : 0);
  }

  function relay(client: Socket, delayMs: number): void {
    const upstream = track(connect(target, "127.0.0.1"));
    const opened = generation;
    client.on("data", (bytes) => opened === generation && upstream.write(bytes)).on("close", () => upstream.destroy());
    upstream.on("close", () => opened === generation && client.destroy());
    upstream.on("data", (bytes) => {
      if (opened !== generation) return;
      if (delayMs === 0) client.write(bytes);
      else setTimeout(() => client.destroyed || client.write(bytes), delayMs);
    });
  }

  function track(socket: Socket): Socket {
    sockets.add(socket);
    return socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
  }

  async function listen(port: number): Promise<Server> {
    const listening = createServer(accept).listen(port, "127.0.0.1");
    await once(listening, "listening");
    return listening;
  }

  async function shut(): Promise<void> {
    const over = server?.listening ? once(server, "close") : Promise.resolve();
    server?.close();
    server = undefined;
    for (const socket of sockets) socket.destroy();
    await over;
  }

  const port = await freePort();
  let server: Server | undefined = await listen(port);
  return {
    port,
    get connections() {
      return connections;
    },
    async set(next) {
      await shut();
      mode = next;
      if (next !== "closed") server = await listen(port);
    },
    freeze() {
      generation++;
    },
    close: shut,
  };
}
