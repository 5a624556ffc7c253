/** Passes connections on, between a loopback port of one network namespace and one of another, by a unix socket. */
import { once } from "node:events";
import { connect, createServer, type NetConnectOpts, type Server } from "node:net";
import { pipeline } from "node:stream";

/** Each is a port of 127.0.0.1 or the path of a unix socket. Resolves when it listens. */
export async function startRelay(from: NetConnectOpts, to: NetConnectOpts): Promise<Server> {
  const server = createServer((socket) => {
    pipeline(socket, connect(to), socket, () => undefined);
  });
  server.listen(from);
  await once(server, "listening");
  return server;
}

/** A port, for `startRelay`. */
export const loopback = (port: number) => ({ host: "127.0.0.1", port });
