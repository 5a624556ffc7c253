/** What the servers of agents and of the CLI have in common: limits, certificates, and how they begin and end. */
import { experimental, Server, type ServerCredentials } from "@grpc/grpc-js";
import { MeshError } from "@isthmus/model";
import type { TlsFiles } from "./tls-files.js";

export interface RunningServer {
  readonly port: number;
  /** Waits for open calls up to `graceMs`, then cuts them. */
  close(graceMs: number): Promise<void>;
}

/**
 * Dead peers are noticed after 13 s. An agent has one stream, the CLI one call at a time. A longer message is refused by the
 * length that stands before it.
 */
export function createGrpcServer(maxMessageBytes: number): Server {
  return new Server({
    "grpc.keepalive_time_ms": 10_000,
    "grpc.keepalive_timeout_ms": 3000,
    "grpc.max_receive_message_length": maxMessageBytes,
    "grpc.max_concurrent_streams": 16,
    "grpc.max_connection_idle_ms": 60_000,
  });
}

export async function listen(server: Server, address: string, credentials: ServerCredentials): Promise<RunningServer> {
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, credentials, (cause, bound) => {
      if (cause === null) return resolve(bound);
      const sentence = `Cannot listen on "${address}": ${cause.message}`;
      reject(new MeshError({ code: "ADDRESS_IN_USE", address }, sentence, { cause }));
    });
  });
  return {
    port,
    close: (graceMs) =>
      new Promise((resolve) => {
        const cut = setTimeout(() => {
          server.forceShutdown();
          // A connection whose peer is gone may never say that it is closed.
          resolve();
        }, graceMs);
        server.tryShutdown(() => {
          clearTimeout(cut);
          resolve();
        });
      }),
  };
}

/** `mutual`: clients must have a certificate, too. */
export function serverCredentials(tls: TlsFiles, { mutual }: { readonly mutual: boolean }): ServerCredentials {
  // The types name the two providers in the other order; the code takes identity first.
  return experimental.createCertificateProviderServerCredentials(tls, mutual ? tls : null, mutual);
}
