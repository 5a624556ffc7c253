/** Dials the endpoints of a store from this cluster's side: reachable or why not, and the round trip. */
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { CheckStoreRequest, StoreEndpointReport } from "@isthmus/proto";

const DEADLINE_MS = 3000;
const MAX_ENDPOINTS = 16;

export function checkStore({ endpoints, ca }: CheckStoreRequest): Promise<StoreEndpointReport[]> {
  return Promise.all(endpoints.slice(0, MAX_ENDPOINTS).map((endpoint) => dial(endpoint, ca)));
}

/** A TLS handshake that the CA proves; what the store thinks of our certificate is not asked. */
async function dial(endpoint: string, ca: string): Promise<StoreEndpointReport> {
  const started = performance.now();
  let socket: Socket | undefined;
  try {
    const url = new URL(endpoint);
    socket = await open(url, ca);
    const roundTripUs = Math.round((performance.now() - started) * 1000);
    return { endpoint, reachable: true, message: "", roundTripUs };
  } catch (thrown) {
    return { endpoint, reachable: false, message: sentence(endpoint, thrown), roundTripUs: 0 };
  } finally {
    socket?.destroy();
  }
}

function open(url: URL, ca: string): Promise<Socket> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = Number(url.port || (url.protocol === "https:" ? 443 : 2379));
  return new Promise((resolve, reject) => {
    const socket: Socket =
      url.protocol === "https:"
        ? connectTls({ host, port, ...(ca === "" ? {} : { ca }) }, () => resolve(socket))
        : connectTcp({ host, port }, () => resolve(socket));
    socket.once("error", reject);
    socket.setTimeout(DEADLINE_MS, () => socket.destroy(new Error(`no answer within ${DEADLINE_MS} ms`)));
  });
}

function sentence(endpoint: string, thrown: unknown): string {
  const { code, message } = thrown as NodeJS.ErrnoException;
  const reason = code === "ECONNREFUSED" ? "connection refused" : message;
  return `Cannot reach "${endpoint}" from here: ${reason}`;
}
