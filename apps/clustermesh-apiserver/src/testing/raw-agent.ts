/** A client of the stream that sends encoded bytes, so that encoding is not part of a measurement. */
import { Client, type ClientDuplexStream, credentials } from "@grpc/grpc-js";
import { StateSyncService } from "@isthmus/proto";
import type { AgentTls } from "./test-agent.js";

export interface RawAgent {
  send(bytes: Buffer): void;
  readonly error: { readonly code?: number; readonly details?: string } | undefined;
  close(): void;
}

export function connectRaw({ port, tls }: { readonly port: number; readonly tls: AgentTls }): RawAgent {
  const client = new Client(
    `127.0.0.1:${port}`,
    credentials.createSsl(Buffer.from(tls.ca), Buffer.from(tls.key), Buffer.from(tls.certificate)),
    { "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 },
  );
  const same = (bytes: Buffer) => bytes;
  const call: ClientDuplexStream<Buffer, Buffer> = client.makeBidiStreamRequest(
    StateSyncService.subscribe.path,
    same,
    same,
  );
  let error: RawAgent["error"];
  call.on("data", () => undefined);
  call.on("error", (thrown: { code?: number; details?: string }) => {
    error = thrown;
  });
  return {
    send: (bytes) => void call.write(bytes),
    get error() {
      return error;
    },
    close() {
      call.cancel();
      client.close();
    },
  };
}
