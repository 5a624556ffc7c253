/**
 * The proxy from a node's containerd to a registry. Nodes have no route out of the underlay, and the lab does not change the host's
 * packet filter, so the supervisor, in the root namespace, serves `CONNECT host:port` on the underlay's root address.
 *
 * It connects through the proxy of the caller's environment (HTTPS_PROXY), if there is one.
 * Only nodes may use it, not their pods; and no client reaches ports on the host's loopback.
 */
import { lookup } from "node:dns/promises";
import { createServer, request, type Server } from "node:http";
import { connect, type Socket } from "node:net";
import { labError } from "../plan/errors.js";

export const REGISTRY_PROXY_PORT = 3128;

export interface RegistryProxyOptions {
  /** URL of the next proxy; "" or absent: none. */
  readonly upstream?: string | undefined;
  /** Whether a client may use the proxy, by its address. */
  readonly isClientAllowed: (address: string) => boolean;
  /** Whether a target is allowed, by the address that its name resolves to. Not called with `upstream`: that proxy decides. */
  readonly isTargetAllowed: (address: string) => boolean;
}

export function isLoopback(address: string): boolean {
  return /^(127\.|0\.|::1$|::$|::ffff:127\.)/.test(address);
}

export function createRegistryProxy(options: RegistryProxyOptions): Server {
  const server = createServer((_, response) => void response.writeHead(405).end("Only CONNECT is served here\n"));
  server.on("connect", (incoming, client: Socket, head) => {
    client.on("error", () => client.destroy());
    const from = client.remoteAddress ?? "";
    if (!options.isClientAllowed(from)) return void client.end("HTTP/1.1 403 Forbidden\r\n\r\n");
    open(incoming.url ?? "", options).then(
      (remote) => {
        client.write("HTTP/1.1 200 Connection established\r\n\r\n");
        if (head.length > 0) remote.write(head);
        join(client, remote);
      },
      () => client.end("HTTP/1.1 502 Bad Gateway\r\n\r\n"),
    );
  });
  return server;
}

/** Environment of containerd. It does not use the proxy for the cluster's own addresses. */
export function proxyEnvironment(address: string): Record<string, string> {
  const proxy = `http://${address}:${REGISTRY_PROXY_PORT}`;
  return { HTTP_PROXY: "", HTTPS_PROXY: proxy, NO_PROXY: "localhost,127.0.0.0/8,10.0.0.0/8" };
}

async function open(target: string, options: RegistryProxyOptions): Promise<Socket> {
  if (options.upstream) return await through(options.upstream, target);
  const cut = target.lastIndexOf(":");
  const { address } = await lookup(target.slice(0, cut).replace(/^\[|\]$/g, ""));
  if (options.isTargetAllowed(address)) return await direct(address, Number(target.slice(cut + 1)));
  throw labError("STEP_FAILED", `Nodes may not reach "${address}"`);
}

function direct(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    socket.once("error", reject);
    socket.once("connect", () => resolve(socket));
  });
}

function through(upstream: string, target: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const asked = request(upstream, { method: "CONNECT", path: target });
    asked.once("error", reject);
    asked.once("connect", (response, socket) => {
      if (response.statusCode === 200) return resolve(socket);
      socket.destroy();
      reject(labError("STEP_FAILED", `The proxy "${upstream}" answered ${response.statusCode}`));
    });
    asked.end();
  });
}

function join(a: Socket, b: Socket): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    from.on("error", () => to.destroy());
    from.on("close", () => to.destroy());
    from.pipe(to);
  }
}
