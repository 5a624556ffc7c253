/**
 * TCP connections to one server through the proxy that a kubeconfig's `proxy-url` names, as kubectl makes them.
 *
 * `http` and `https` proxies are asked with CONNECT; `socks5` ones resolve the server's name themselves. A connection
 * that is not there within the time, or when the tunnel is closed, is destroyed: a silent proxy keeps nothing open.
 */
import { type ClientRequestArgs, Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import { SocksClient } from "socks";
import { withCode } from "./http2-link.js";

export interface Tunnel {
  /** A TCP connection to the server; nothing was sent on it yet. */
  dial(): Promise<Socket>;
  /** Ends the dials that are under way. */
  close(): void;
}

interface Place {
  readonly host: string;
  readonly port: number;
}

const DIAL_MS = 10_000;
/** Of a proxy's answer to CONNECT. */
const MOST_HEAD_BYTES = 16_384;
const DEFAULT_PORTS: Readonly<Record<string, number>> = {
  "http:": 80,
  "https:": 443,
  "socks5:": 1080,
  "socks5h:": 1080,
};

export function isProxyScheme(protocol: string): boolean {
  return protocol in DEFAULT_PORTS;
}

export function createTunnel(proxy: URL, server: URL, dialMs = DIAL_MS): Tunnel {
  const dials = new Set<Socket>();
  const at = placeOf(proxy, DEFAULT_PORTS[proxy.protocol] ?? 80);
  const target = placeOf(server, server.protocol === "https:" ? 443 : 80);
  const name = `proxy ${proxy.protocol}//${proxy.host}`;
  let closed = false;

  async function dial(): Promise<Socket> {
    if (closed) throw withCode("ECONNRESET", "the connection was closed by its user");
    const secure = { ...at, servername: isIP(at.host) === 0 ? at.host : "" };
    const socket = proxy.protocol === "https:" ? connectTls(secure) : connectTcp(at);
    dials.add(socket);
    const late = setTimeout(() => {
      socket.destroy(withCode("ETIMEDOUT", `no connection through ${name} within ${dialMs} ms`));
    }, dialMs);
    try {
      await asked(socket, proxy, target);
      socket.on("error", () => undefined); // whoever uses it says so
      return socket;
    } catch (thrown) {
      socket.destroy();
      throw named(name, thrown);
    } finally {
      clearTimeout(late);
      dials.delete(socket);
    }
  }

  return {
    dial,
    close() {
      closed = true;
      for (const socket of dials) socket.destroy(withCode("ECONNRESET", "the connection was closed by its user"));
    },
  };
}

/** An agent for HTTP/1.1 whose connections go through the tunnel. */
export function tunnelAgent(tunnel: Tunnel, secure: boolean, options: { readonly maxFreeSockets: number }): HttpAgent {
  const agent = new (secure ? HttpsAgent : HttpAgent)({ keepAlive: true, ...options });
  agent.createConnection = (request: ClientRequestArgs, done?: (error: Error | null, stream: Duplex) => void) => {
    tunnel.dial().then(
      (socket) => done?.(null, secure ? connectTls({ ...(request as object), socket }) : socket),
      // Node looks at the error first; there is no stream then.
      (error: Error) => (done as ((error: Error) => void) | undefined)?.(error),
    );
    return undefined;
  };
  return agent;
}

function placeOf({ hostname, port }: URL, usual: number): Place {
  return { host: hostname.replace(/^\[|\]$/g, ""), port: port === "" ? usual : Number(port) };
}

function asked(socket: Socket, proxy: URL, target: Place): Promise<unknown> {
  return proxy.protocol.startsWith("socks") ? askSocks(socket, proxy, target) : askConnect(socket, proxy, target);
}

async function askSocks(socket: Socket, proxy: URL, target: Place): Promise<void> {
  await opened(socket, "connect");
  const { host, port } = placeOf(proxy, 1080);
  const [userId, password] = [decodeURIComponent(proxy.username), decodeURIComponent(proxy.password)];
  const known = userId === "" ? {} : { userId, password };
  await SocksClient.createConnection({
    proxy: { host, port, type: 5, ...known },
    command: "connect",
    destination: target,
    existing_socket: socket,
  });
}

async function askConnect(socket: Socket, proxy: URL, { host, port }: Place): Promise<void> {
  await opened(socket, proxy.protocol === "https:" ? "secureConnect" : "connect");
  const authority = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const credentials = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  const basic = `Proxy-Authorization: Basic ${Buffer.from(credentials).toString("base64")}\r\n`;
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${proxy.username === "" ? "" : basic}\r\n`);
  const head = await readHead(socket);
  const [, status, reason = ""] = /^HTTP\/1\.[01] (\d{3}) ?([\x20-\x7e]{0,100})/.exec(head) ?? [];
  if (status === undefined) throw withCode("EPROTO", "it does not speak HTTP");
  if (!status.startsWith("2")) throw withCode("ECONNREFUSED", `it answers ${status} ${reason}`.trimEnd());
}

/** Up to the empty line; what follows stays in the socket. */
async function readHead(socket: Socket): Promise<string> {
  let bytes = Buffer.alloc(0);
  for (;;) {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) {
      await opened(socket, "readable");
      if (socket.readableEnded) throw withCode("ECONNRESET", "it closed the connection");
      continue;
    }
    bytes = Buffer.concat([bytes, chunk]);
    const end = bytes.indexOf("\r\n\r\n");
    if (end >= 0) {
      socket.unshift(bytes.subarray(end + 4));
      return bytes.toString("latin1", 0, end);
    }
    if (bytes.length > MOST_HEAD_BYTES) throw withCode("EPROTO", "its answer does not end");
  }
}

/** Resolves at the event; rejects when the socket ends before. */
function opened(socket: Socket, event: "connect" | "secureConnect" | "readable"): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (act: () => void) => {
      socket.off(event, onEvent).off("error", reject).off("end", onEnd).off("close", onEnd);
      act();
    };
    const onEvent = () => done(resolve);
    const onEnd = () => done(() => reject(withCode("ECONNRESET", "it closed the connection")));
    socket.once(event, onEvent).once("error", reject).once("end", onEnd).once("close", onEnd);
  });
}

function named(name: string, thrown: unknown): Error {
  const { message, code } = thrown as Error & { code?: string };
  return message.includes(name) ? (thrown as Error) : withCode(code ?? "ECONNRESET", `${name}: ${message || code}`);
}
