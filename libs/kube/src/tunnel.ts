/**
 * TCP connections to one server through the proxy that a kubeconfig's `proxy-url` names, as kubectl makes them.
 *
 * `http` and `https` proxies are asked with CONNECT, `socks5` ones by SOCKS 5; the proxy resolves the server's name. A
 * connection that is not ready within the limit, or when the tunnel is closed, is destroyed: a silent proxy keeps no
 * socket open.
 */
import { type ClientRequestArgs, Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import { withCode } from "./http2-link.js";
import { askProxy, hostPortOf } from "./proxy-handshake.js";

export interface Tunnel {
  /** Opens a TCP connection to the server; nothing has been sent on it. */
  dial(): Promise<Socket>;
  /** Ends the dials in progress. */
  close(): void;
}

const DIAL_MS = 10_000;

/** `dialMs`: limit for TCP, TLS and the proxy's answer together. `dial` rejects with an Error that has a `code`. */
export function createTunnel(proxy: URL, server: URL, dialMs = DIAL_MS): Tunnel {
  const dials = new Set<Socket>();
  const [at, target] = [hostPortOf(proxy), hostPortOf(server)];
  const name = `proxy ${proxy.protocol}//${proxy.host}`;
  let closed = false;

  async function dial(): Promise<Socket> {
    if (closed) throw withCode("ECONNRESET", "the connection was closed by this process");
    const secure = { ...at, servername: isIP(at.host) === 0 ? at.host : "" };
    const socket = proxy.protocol === "https:" ? connectTls(secure) : connectTcp(at);
    socket.on("error", () => undefined); // the waiting promise, or the user of the socket, gets the error
    dials.add(socket);
    const late = setTimeout(() => {
      socket.destroy(withCode("ETIMEDOUT", `no connection through ${name} within ${dialMs} ms`));
    }, dialMs);
    try {
      await askProxy(socket, proxy, target);
      return socket;
    } catch (thrown) {
      socket.destroy();
      throw withProxyName(name, thrown);
    } finally {
      clearTimeout(late);
      dials.delete(socket);
    }
  }

  return {
    dial,
    close() {
      closed = true;
      for (const socket of dials) socket.destroy(withCode("ECONNRESET", "the connection was closed by this process"));
    },
  };
}

/** An agent for HTTP/1.1 whose connections go through the tunnel. */
export function tunnelAgent(tunnel: Tunnel, secure: boolean, options: { readonly maxFreeSockets: number }): HttpAgent {
  const agent = new (secure ? HttpsAgent : HttpAgent)({ keepAlive: true, ...options });
  agent.createConnection = (request: ClientRequestArgs, done?: (error: Error | null, stream: Duplex) => void) => {
    tunnel.dial().then(
      (socket) => done?.(null, secure ? connectTls({ ...(request as object), socket }) : socket),
      // Node checks the error first and then ignores the stream.
      (error: Error) => (done as ((error: Error) => void) | undefined)?.(error),
    );
    return undefined;
  };
  return agent;
}

function withProxyName(name: string, thrown: unknown): Error {
  const { message, code } = thrown as Error & { code?: string };
  return message.includes(name) ? (thrown as Error) : withCode(code ?? "ECONNRESET", `${name}: ${message || code}`);
}
