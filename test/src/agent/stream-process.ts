/**
 * A gRPC server in a network namespace, without logic: it forwards messages of agents to the parent process, and messages of the
 * parent to all agents. Started by stream-server.ts.
 */
import { Server, ServerCredentials, type ServerDuplexStream } from "@grpc/grpc-js";
import { StateSyncService, ToAgent, ToServer } from "@isthmus/proto";

export type Order =
  | {
      readonly is: "listen";
      readonly port: number;
      readonly ca: string;
      readonly certificate: string;
      readonly key: string;
    }
  | { readonly is: "write"; readonly message: Uint8Array }
  | { readonly is: "stop" };
export type Notice = { readonly is: "listening" } | { readonly is: "heard"; readonly message: Uint8Array };

const streams = new Set<ServerDuplexStream<ToServer, ToAgent>>();
let server: Server | undefined;

function tell(notice: Notice): void {
  process.send?.(notice);
}

function subscribe(stream: ServerDuplexStream<ToServer, ToAgent>): void {
  streams.add(stream);
  stream.on("data", (message: ToServer) => tell({ is: "heard", message: ToServer.encode(message).finish() }));
  stream.on("error", () => streams.delete(stream));
  stream.on("end", () => {
    streams.delete(stream);
    stream.end();
  });
}

function listen(order: Order & { is: "listen" }): void {
  const pair = { private_key: Buffer.from(order.key), cert_chain: Buffer.from(order.certificate) };
  const next = new Server();
  next.addService(StateSyncService, { subscribe });
  next.bindAsync(
    `127.0.0.1:${order.port}`,
    ServerCredentials.createSsl(Buffer.from(order.ca), [pair], true),
    (error) => {
      if (error !== null) throw error;
      server = next;
      tell({ is: "listening" });
    },
  );
}

process.on("message", (order: Order) => {
  if (order.is === "listen") listen(order);
  if (order.is === "write") for (const stream of streams) stream.write(ToAgent.decode(order.message));
  if (order.is !== "stop") return;
  server?.forceShutdown();
  streams.clear();
});
