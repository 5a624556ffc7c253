/** A plain HTTP server on an address, for health and metrics. */
import { createServer, type RequestListener, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { MeshError } from "@isthmus/model";

export interface HttpListener {
  /** The port that it listens on: the one that was taken when 0 was given. */
  readonly port: number;
  /** Ends open connections too; resolves when the port is free. */
  close(): Promise<void>;
}

/** `address`: `127.0.0.1:9440`, `[::1]:9440`; port 0 takes a free one. Throws `ADDRESS_IN_USE` or `ADDRESS` when it cannot listen. */
export async function listenHttp(address: string, onRequest: RequestListener): Promise<HttpListener> {
  const { host, port } = splitHostPort(address);
  const server = createServer(onRequest);
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => reject(listenError(address, cause)));
    server.listen(port, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Ends the response with a text of UTF-8. */
export function answer(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8" }).end(body);
}

/** Splits `host:port`, `[v6]:port`. Throws `ADDRESS` with the text. */
export function splitHostPort(text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3] ?? -1);
  if (match === null || port > 65535)
    throw new MeshError({ code: "ADDRESS", value: text }, `Cannot read "${text}" as "host:port"`);
  return { host: match[1] ?? match[2] ?? "", port };
}

function listenError(address: string, cause: NodeJS.ErrnoException): MeshError {
  const code = cause.code === "EADDRINUSE" ? "ADDRESS_IN_USE" : "ADDRESS";
  const reason = cause.code === "EADDRINUSE" ? "another process uses it" : cause.message;
  return new MeshError({ code, address }, `Cannot listen on "${address}": ${reason}`, { cause });
}
