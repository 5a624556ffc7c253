/**
 * The way from a node's containerd to a registry: nodes have no route out of the underlay, and the host's packet filter is left alone.
 * So the supervisor, in the root namespace, answers `CONNECT host:port` on the underlay's root address.
 *
 * A proxy that the caller's own environment names (HTTPS_PROXY) is used in turn.
 */
import { createServer, request, type Server } from "node:http";
import { connect, type Socket } from "node:net";
import { labError } from "../plan/errors.js";

export const REGISTRY_PROXY_PORT = 3128;

export function createRegistryProxy(upstream: string | undefined): Server {
  const server = createServer((_, response) => void response.writeHead(405).end("Only CONNECT is served here\n"));
  server.on("connect", (incoming, client: Socket, head) => {
    client.on("error", () => client.destroy());
    open(incoming.url ?? "", upstream).then(
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

/** Environment of containerd. The cluster's own addresses are never asked of the proxy. */
export function proxyEnvironment(address: string): Record<string, string> {
  const proxy = `http://${address}:${REGISTRY_PROXY_PORT}`;
  return { HTTP_PROXY: "", HTTPS_PROXY: proxy, NO_PROXY: "localhost,127.0.0.0/8,10.0.0.0/8" };
}

function open(target: string, upstream: string | undefined): Promise<Socket> {
  const cut = target.lastIndexOf(":");
  const [host, port] = [target.slice(0, cut).replace(/^\[|\]$/g, ""), Number(target.slice(cut + 1))];
  return upstream === undefined || upstream === "" ? direct(host, port) : through(upstream, target);
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
