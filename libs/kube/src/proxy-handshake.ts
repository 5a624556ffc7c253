/** Asks a proxy for a connection to a server: CONNECT over http and https, or SOCKS 5. */
import type { Socket } from "node:net";
import { SocksClient } from "socks";
import { withCode } from "./http2-link.js";

export interface HostPort {
  /** A name or an address; an IPv6 address is without brackets. */
  readonly host: string;
  /** From 1 to 65,535. */
  readonly port: number;
}

/** Limit for the head of a proxy's answer to CONNECT. */
const MAX_HEAD_BYTES = 16_384;
/** Default port of each proxy scheme. */
const DEFAULT_PORTS: Readonly<Record<string, number>> = {
  "http:": 80,
  "https:": 443,
  "socks5:": 1080,
  "socks5h:": 1080,
};

/** `protocol`: as in `URL.protocol`, with its colon. */
export function isProxyScheme(protocol: string): boolean {
  return protocol in DEFAULT_PORTS;
}

/** Without a port in the URL, the default one of its scheme. */
export function hostPortOf({ hostname, port, protocol }: URL): HostPort {
  const number = port === "" ? DEFAULT_PORTS[protocol] : Number(port);
  return { host: hostname.replace(/^\[|\]$/g, ""), port: number ?? 80 };
}

/** Resolves when the socket is connected to the target: all further bytes reach it. */
export function askProxy(socket: Socket, proxy: URL, target: HostPort): Promise<unknown> {
  return proxy.protocol.startsWith("socks") ? askSocks(socket, proxy, target) : askConnect(socket, proxy, target);
}

async function askSocks(socket: Socket, proxy: URL, target: HostPort): Promise<void> {
  await waitFor(socket, "connect");
  const { host, port } = hostPortOf(proxy);
  const [userId, password] = [decodeURIComponent(proxy.username), decodeURIComponent(proxy.password)];
  const login = userId === "" ? {} : { userId, password };
  await SocksClient.createConnection({
    proxy: { host, port, type: 5, ...login },
    command: "connect",
    destination: target,
    existing_socket: socket,
  });
}

async function askConnect(socket: Socket, proxy: URL, { host, port }: HostPort): Promise<void> {
  await waitFor(socket, proxy.protocol === "https:" ? "secureConnect" : "connect");
  const authority = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const credentials = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  const basic = `Proxy-Authorization: Basic ${Buffer.from(credentials).toString("base64")}\r\n`;
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${proxy.username === "" ? "" : basic}\r\n`);
  const head = await readHead(socket);
  const [, status, reason = ""] = /^HTTP\/1\.[01] (\d{3}) ?([\x20-\x7e]{0,100})/.exec(head) ?? [];
  if (status === undefined) throw withCode("EPROTO", "it does not speak HTTP");
  if (!status.startsWith("2")) throw withCode("ECONNREFUSED", `it answers ${status} ${reason}`.trimEnd());
}

/** Reads up to the empty line; the bytes after it stay in the socket. */
async function readHead(socket: Socket): Promise<string> {
  let bytes = Buffer.alloc(0);
  for (;;) {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) {
      await waitFor(socket, "readable");
      if (socket.readableEnded) throw withCode("ECONNRESET", "it closed the connection");
      continue;
    }
    bytes = Buffer.concat([bytes, chunk]);
    const end = bytes.indexOf("\r\n\r\n");
    if (end >= 0) {
      socket.unshift(bytes.subarray(end + 4));
      return bytes.toString("latin1", 0, end);
    }
    if (bytes.length > MAX_HEAD_BYTES)
      throw withCode("EPROTO", `the head of its answer is over ${MAX_HEAD_BYTES} bytes`);
  }
}

/** Resolves at the event; rejects when the socket ends before it. */
function waitFor(socket: Socket, event: "connect" | "secureConnect" | "readable"): Promise<void> {
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
