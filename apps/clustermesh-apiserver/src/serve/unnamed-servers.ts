/**
 * Serves both ports while the cluster's name and id are unknown. Every call fails with a sentence about what is missing, so
 * that agents and operators get that instead of "connection refused".
 */
import { type Server, type ServiceDefinition, status, type UntypedHandleCall } from "@grpc/grpc-js";
import { MeshError } from "@isthmus/model";
import { AdminService, StateSyncService } from "@isthmus/proto";
import type { Close } from "../process/parts.js";
import type { AdminAuth } from "./admin/admin-auth.js";
import { isAdminError } from "./admin/admin-error.js";
import { MAX_MESSAGE_BYTES } from "./agents/message-bounds.js";
import { createGrpcServer, listen, type RunningServer, serverCredentials, undecoded } from "./grpc/grpc-server.js";
import type { TlsFiles } from "./grpc/tls-files.js";

export interface UnnamedServersModules {
  /** Its owner closes it, not the servers. */
  readonly tls: TlsFiles;
  /** Only an authorized caller of the admin API learns the problem; its owner closes it. */
  readonly auth: AdminAuth;
  /** Returns a sentence about what is missing and how to fix it. */
  readonly problem: () => string;
}

const GRACE_MS = 500;

/** Resolves with the function that ends both servers. Rejects with `ADDRESS_IN_USE` when one cannot listen. */
export async function startUnnamedServers(
  addresses: { readonly listen: string; readonly admin: string },
  { tls, auth, problem }: UnnamedServersModules,
): Promise<Close> {
  const agents = serving(StateSyncService, (call) => {
    call.on("error", () => undefined);
    call.emit("error", { code: status.UNAVAILABLE, details: problem() });
  });
  const admin = serving(AdminService, (call, answer) => {
    call.on("error", () => undefined);
    // A call with a stream of answers has no callback.
    const done = answer ?? ((error) => void call.emit("error", error));
    auth.check(call.metadata, "read", call.getPeer()).then(
      () => done({ code: status.FAILED_PRECONDITION, details: problem() }),
      (thrown: unknown) => {
        const code = isAdminError(thrown) ? thrown.data.status : status.INTERNAL;
        done({ code, details: MeshError.from(thrown).message });
      },
    );
  });
  const running: RunningServer[] = [];
  const close = async () => {
    await Promise.all(running.map((server) => server.close(GRACE_MS)));
  };
  try {
    running.push(await listen(agents, addresses.listen, serverCredentials(tls, { mutual: true })));
    running.push(await listen(admin, addresses.admin, serverCredentials(tls, { mutual: false })));
  } catch (thrown) {
    await close();
    throw thrown;
  }
  return close;
}

interface AnyCall {
  readonly metadata: Parameters<AdminAuth["check"]>[0];
  getPeer(): string;
  on(event: "error", listener: () => void): void;
  emit(event: "error", error: { readonly code: status; readonly details: string }): void;
}

function serving(
  definition: ServiceDefinition,
  handle: (
    call: AnyCall,
    done: ((error: { readonly code: status; readonly details: string }) => void) | undefined,
  ) => void,
): Server {
  const server = createGrpcServer(MAX_MESSAGE_BYTES);
  const methods = Object.keys(definition).map((name) => [name, handle as unknown as UntypedHandleCall]);
  server.addService(undecoded(definition), Object.fromEntries(methods));
  return server;
}
