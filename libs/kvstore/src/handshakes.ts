/**
 * Bounds TLS handshakes: each has a time limit, and `endAll` stops all of them.
 *
 * grpc-js waits for a handshake without a limit and abandons it when its channel is closed: a peer that accepts and
 * sends nothing would keep the socket open, and with it the process alive, until TCP times out.
 */
import type { Socket } from "node:net";
import type { ChannelCredentials } from "@grpc/grpc-js";

export type CreateConnector = ChannelCredentials["_createSecureConnector"];
export type Connector = ReturnType<CreateConnector>;

export interface Handshakes {
  /** A connector with the limit: its `connect` rejects after 10 s, or when the socket closes. */
  guard(connector: Connector): Connector;
  /** Ends the running handshakes, and any that begins later. */
  endAll(): void;
}

const LIMIT_MS = 10_000;

/** One object for all connections of a transport. */
export function createHandshakes(): Handshakes {
  const running = new Set<Socket>();
  let ended = false;

  async function shakeHands(connector: Connector, socket: Socket): ReturnType<Connector["connect"]> {
    const timer = setTimeout(() => socket.destroy(), LIMIT_MS);
    running.add(socket);
    if (ended) socket.destroy();
    // Not every connector notices that the socket below its TLS is closed.
    let over = (): void => undefined;
    const closed = new Promise<never>((_, reject) => {
      over = () => reject(new Error("the connection was closed during the TLS handshake"));
      socket.once("close", over);
    });
    try {
      return await Promise.race([connector.connect(socket), closed]);
    } finally {
      clearTimeout(timer);
      socket.removeListener("close", over);
      running.delete(socket);
    }
  }

  return {
    guard: (connector) => ({
      connect: (socket) => shakeHands(connector, socket),
      waitForReady: () => connector.waitForReady(),
      getCallCredentials: () => connector.getCallCredentials(),
      destroy: () => connector.destroy(),
    }),
    endAll() {
      ended = true;
      for (const socket of running) socket.destroy();
    },
  };
}
