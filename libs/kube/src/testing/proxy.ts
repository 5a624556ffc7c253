/** For tests: a TCP proxy on loopback that can cut, reset, stall or refuse connections. */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

export interface FaultyProxy {
  readonly port: number;
  /** Connections open now. */
  readonly open: number;
  /** TCP reset on every open connection. */
  reset(): void;
  /** Nothing passes in either direction until `flow`; connections stay open. */
  stall(): void;
  /** The same for the current connections only; later ones pass. */
  stallOpen(): void;
  flow(): void;
  /** New connections are closed at once. */
  refuse(on: boolean): void;
  close(): Promise<void>;
}

export async function startProxy(target: { readonly host: string; readonly port: number }): Promise<FaultyProxy> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let stalled = false;
  let refusing = false;
  const server = createServer((client) => {
    if (refusing) return void client.resetAndDestroy();
    const upstream = connect(target);
    const pair = [client, upstream] as const;
    pairs.add(pair);
    for (const [from, to] of [pair, [upstream, client]] as const) {
      from.on("data", (chunk) => {
        if (!to.write(chunk)) from.pause();
      });
      to.on("drain", () => stalled || from.resume());
      from.on("end", () => to.end());
      from.on("error", () => to.destroy());
      from.on("close", () => {
        pairs.delete(pair);
        to.destroy();
      });
      if (stalled) from.pause();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const each = (work: (socket: Socket) => void) => {
    for (const pair of [...pairs]) pair.forEach(work);
  };
  return {
    port: (server.address() as { port: number }).port,
    get open() {
      return pairs.size;
    },
    reset: () => each((socket) => socket.resetAndDestroy()),
    stall() {
      stalled = true;
      each((socket) => socket.pause());
    },
    stallOpen: () => each((socket) => socket.pause()),
    flow() {
      stalled = false;
      each((socket) => socket.resume());
    },
    refuse: (on) => {
      refusing = on;
    },
    async close() {
      each((socket) => socket.destroy());
      server.close();
      await once(server, "close");
    },
  };
}
