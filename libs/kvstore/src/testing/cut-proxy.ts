/**
 * A TCP proxy that breaks connections on request: after a number of bytes from the server, at once, or when they are
 * opened.
 */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

export interface CutProxy {
  readonly port: number;
  /** Bytes received from the server since the start. */
  readonly received: number;
  /** Cuts every connection after `bytes` more from the server, which are still passed on. */
  cutAfter(bytes: number): Promise<void>;
  /** Cuts every connection now. */
  cut(): void;
  /** While closed, new connections are cut at once. */
  setOpen(open: boolean): void;
  /** While held, bytes wait in both directions: like a peer that is connected and sends nothing. */
  setHeld(held: boolean): void;
  close(): Promise<void>;
}

export async function startCutProxy(target: number): Promise<CutProxy> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let received = 0;
  let open = true;
  let held = false;
  let pending: { left: number; done: () => void } | undefined;

  const cut = (): void => {
    for (const pair of pairs) for (const socket of pair) socket.destroy();
    pairs.clear();
  };
  const server = createServer((client) => {
    if (!open) return void client.destroy();
    const upstream = connect(target, "127.0.0.1");
    const pair = [client, upstream] as const;
    pairs.add(pair);
    const drop = (): void => {
      pairs.delete(pair);
      client.destroy();
      upstream.destroy();
    };
    for (const socket of pair) socket.on("error", drop).on("close", drop);
    client.on("data", (bytes) => upstream.write(bytes));
    upstream.on("data", (bytes: Buffer) => {
      received += bytes.length;
      if (pending === undefined) return void client.write(bytes);
      const { left, done } = pending;
      pending.left -= bytes.length;
      if (pending.left > 0) return void client.write(bytes);
      pending = undefined;
      client.write(bytes.subarray(0, left), () => {
        cut();
        done();
      });
    });
    if (held) for (const socket of pair) socket.pause();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    get received() {
      return received;
    },
    cutAfter: (bytes) =>
      new Promise((done) => {
        pending = { left: bytes, done };
      }),
    cut,
    setOpen(value) {
      open = value;
      if (!value) cut();
    },
    setHeld(value) {
      held = value;
      for (const pair of pairs) for (const socket of pair) value ? socket.pause() : socket.resume();
    },
    async close() {
      cut();
      server.close();
      await once(server, "close");
    },
  };
}
