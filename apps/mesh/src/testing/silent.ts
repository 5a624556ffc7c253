/** A server that accepts connections and never sends a byte, and a kubeconfig that points to it. */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";

export interface SilentPeer {
  readonly port: number;
  /** Connections so far. */
  readonly accepted: number;
  close(): void;
}

export async function startSilentPeer(): Promise<SilentPeer> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined).resume();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    get accepted() {
      return sockets.size;
    },
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

export interface ServerAddress {
  readonly server: string;
  /** Path of its CA; without it the certificate is not verified. */
  readonly ca?: string;
  readonly user?: object;
}

/** Writes a kubeconfig with a context per server; the first is the current one. */
export function writeKubeconfig(path: string, places: Readonly<Record<string, ServerAddress>>): string {
  const entries = Object.entries(places);
  const content = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": entries[0]?.[0],
    contexts: entries.map(([name]) => ({ name, context: { cluster: name, user: name } })),
    clusters: entries.map(([name, { server, ca }]) => ({
      name,
      cluster: {
        server,
        ...(ca === undefined ? { "insecure-skip-tls-verify": true } : { "certificate-authority": ca }),
      },
    })),
    users: entries.map(([name, { user = { token: "admin-token" } }]) => ({ name, user })),
  };
  writeFileSync(path, JSON.stringify(content));
  return path;
}
