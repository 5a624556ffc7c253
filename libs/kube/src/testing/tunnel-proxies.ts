/** For tests: HTTP and SOCKS proxies that connect every tunnel to one port of this machine. */
import { once } from "node:events";
import { createServer as createHttp, type IncomingMessage } from "node:http";
import { createServer as createHttps } from "node:https";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { TestContext } from "node:test";

export interface TunnelProxy {
  readonly port: number;
  /** `host:port` of each requested tunnel, with the credentials of the request: `user:password@host:port`. */
  readonly requestedTargets: readonly string[];
}

/** A CONNECT proxy; over TLS when `pair` is given. */
export async function startConnectProxy(
  t: TestContext,
  target: number,
  pair?: { readonly cert: string; readonly key: string },
): Promise<TunnelProxy> {
  const asked: string[] = [];
  const server = pair === undefined ? createHttp() : createHttps(pair);
  server.on("connect", ({ url = "", headers }: IncomingMessage, client: Duplex) => {
    const [, given] = /^Basic (.*)$/.exec(headers["proxy-authorization"] ?? "") ?? [];
    asked.push(given === undefined ? url : `${Buffer.from(given, "base64").toString()}@${url}`);
    const upstream = connect(target, "127.0.0.1", () => client.write("HTTP/1.1 200 Connection established\r\n\r\n"));
    join(client, upstream);
  });
  return { requestedTargets: asked, port: await listen(t, server) };
}

/** A SOCKS 5 proxy for names and IPv4 addresses; accepts any user and password. */
export async function startSocksProxy(t: TestContext, target: number): Promise<TunnelProxy> {
  const asked: string[] = [];
  const server = createServer(async (client) => {
    client.on("error", () => undefined);
    const take = reader(client);
    const [, methods = 0] = await take(2);
    const wantsUser = (await take(methods)).includes(2);
    client.write(Uint8Array.of(5, wantsUser ? 2 : 0));
    let user = "";
    if (wantsUser) {
      const name = await take((await take(2))[1] ?? 0);
      user = `${name}:${await take((await take(1))[0] ?? 0)}@`;
      client.write(Uint8Array.of(1, 0));
    }
    const [, , , kind] = await take(4);
    const host = kind === 3 ? String(await take((await take(1))[0] ?? 0)) : (await take(4)).join(".");
    asked.push(`${user}${host}:${(await take(2)).readUInt16BE(0)}`);
    const upstream = connect(target, "127.0.0.1", () => client.write(Uint8Array.of(5, 0, 0, 1, 0, 0, 0, 0, 0, 0)));
    join(client, upstream);
  });
  return { requestedTargets: asked, port: await listen(t, server) };
}

/** Reads exactly `count` bytes from a socket. */
function reader(socket: Socket): (count: number) => Promise<Buffer> {
  return async (count) => {
    for (;;) {
      const bytes = count === 0 ? Buffer.alloc(0) : (socket.read(count) as Buffer | null);
      if (bytes !== null) return bytes;
      await once(socket, "readable");
    }
  };
}

function join(client: Duplex, upstream: Socket): void {
  const drop = () => {
    client.destroy();
    upstream.destroy();
  };
  for (const socket of [client, upstream]) socket.on("error", drop).on("close", drop);
  client.pipe(upstream).pipe(client);
}

export async function listen(t: TestContext, server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => sockets.add(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
