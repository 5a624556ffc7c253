/** How a proxy is asked for a connection to a server: CONNECT over http and https, SOCKS 5. */
import type { Socket } from "node:net";
import { SocksClient } from "socks";
import { withCode } from "./http2-link.js";

export interface Place {
  readonly host: string;
  readonly port: number;
}

/** Bytes of a proxy's answer to CONNECT. */
const MOST_HEAD_BYTES = 16_384;
/** By the schemes that a proxy may have. */
const DEFAULT_PORTS: Readonly<Record<string, number>> = {
  "http:": 80,
  "https:": 443,
  "socks5:": 1080,
  "socks5h:": 1080,
};

export function isProxyScheme(protocol: string): boolean {
  return protocol in DEFAULT_PORTS;
}

export function placeOf({ hostname, port, protocol }: URL): Place {
  const number = port === "" ? DEFAULT_PORTS[protocol] : Number(port);
  return { host: hostname.replace(/^\[|\]$/g, ""), port: number ?? 80 };
}

/** Resolves when what is sent on the socket from now on reaches the target. */
export function askProxy(socket: Socket, proxy: URL, target: Place): Promise<unknown> {
  return proxy.protocol.startsWith("socks") ? askSocks(socket, proxy, target) : askConnect(socket, proxy, target);
}

async function askSocks(socket: Socket, proxy: URL, target: Place): Promise<void> {
  await opened(socket, "connect");
  const { host, port } = placeOf(proxy);
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
