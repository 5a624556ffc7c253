/** Common parts of the gRPC servers for agents and for the CLI: limits, certificates, start and shutdown, undecoded requests. */
import {
  experimental,
  Server,
  type ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { MeshError } from "@isthmus/model";
import type { TlsFiles } from "./tls-files.js";

export interface RunningServer {
  /** The port that is bound: a free one when port 0 was asked for. */
  readonly port: number;
  /** Waits up to `graceMs` for open calls, then ends them. */
  close(graceMs: number): Promise<void>;
}

/**
 * Keepalive notices dead connections after 13 s. An agent has one stream, the CLI one call at a time. A message longer than
 * `maxMessageBytes` is refused by its length prefix.
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

/** Rejects with `ADDRESS_IN_USE`, whatever prevents it from binding `address` (host:port). */
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
          // A connection whose peer vanished may never report its close.
          resolve();
        }, graceMs);
        server.tryShutdown(() => {
          clearTimeout(cut);
          resolve();
        });
      }),
  };
}

/** `mutual`: clients must have a certificate. */
export function serverCredentials(tls: TlsFiles, { mutual }: { readonly mutual: boolean }): ServerCredentials {
  // The type declaration has the two providers in the other order; the implementation takes the identity provider first.
  return experimental.createCertificateProviderServerCredentials(tls, mutual ? tls : null, mutual);
}

/** Makes a service deliver its requests as bytes, so that caller and bounds are checked before a request is decoded. */
export function undecoded(definition: ServiceDefinition): ServiceDefinition<UntypedServiceImplementation> {
  const methods = Object.entries(definition).map(([name, method]) => {
    return [name, { ...method, requestDeserialize: (bytes: Buffer): Buffer => bytes }] as const;
  });
  return Object.fromEntries(methods);
}
