/** gRPC `mesh.v1.Admin` for the CLI: server TLS; the bearer token of every call is reviewed. */
import { type handleUnaryCall, type ServerUnaryCall, type sendUnaryData, status } from "@grpc/grpc-js";
import { type Clock, MeshError } from "@isthmus/model";
import type { Logger, Metrics } from "@isthmus/observe";
import {
  AdminService,
  type CheckStoreResponse,
  type FrontendReport,
  type ListServicesRequest,
  type ListServicesResponse,
  type StatusResponse,
} from "@isthmus/proto";
import type { StreamSources } from "../../ports/stream-source.js";
import { createGrpcServer, listen, type RunningServer, serverCredentials, undecoded } from "../grpc/grpc-server.js";
import type { TlsFiles } from "../grpc/tls-files.js";
import type { AdminAuth, AdminRight } from "./admin-auth.js";
import { isAdminError } from "./admin-error.js";
import { listServices } from "./admin-services.js";
import type { AppliedServices } from "./applied-services.js";
import { createStoreChecker } from "./check-store.js";
import { createRefusedCalls } from "./refused-calls.js";

/** The longest request is a list of endpoints with a CA bundle. Requests are decoded after their caller is authorized. */
const MAX_REQUEST_BYTES = 512 << 10;

export interface AdminServerModules {
  /** Its owner closes it, not the server. */
  readonly auth: AdminAuth;
  /** The server's certificate, followed while it changes; clients need none. */
  readonly tls: TlsFiles;
  /** Gets refused calls at a limited rate, and every call that failed by an internal error. */
  readonly log: Logger;
  /** For the rate of log lines. */
  readonly clock: Clock;
  /** Absent: refused calls are not counted. */
  readonly metrics?: Metrics;
  /** Read at every request for Services. */
  readonly sources: StreamSources;
  /** Called for each authorized request of the status. */
  readonly status: () => StatusResponse;
  /** On how many nodes each Service is applied; undefined while the nodes are not known. */
  readonly applied?: () => AppliedServices | undefined;
  /** Services of this cluster that have no frontend to be merged. */
  readonly withoutClusterIp?: (request: ListServicesRequest) => readonly FrontendReport[];
}

/** `address`: host:port; `clusterId`: the local cluster's. Rejects with `ADDRESS_IN_USE` when it cannot listen. */
export function startAdminServer(
  options: { readonly address: string; readonly clusterId: number },
  modules: AdminServerModules,
): Promise<RunningServer> {
  const { auth, log, sources } = modules;
  const reportRefusal = createRefusedCalls(modules);
  const failure = (thrown: unknown, method: string): { code: status; details: string } => {
    if (isAdminError(thrown)) {
      reportRefusal(method, thrown);
      return { code: thrown.data.status, details: thrown.message };
    }
    log.error("Admin call failed", { method, error: thrown });
    return { code: status.INTERNAL, details: MeshError.from(thrown).message };
  };
  const answer =
    <Request, Response>(
      right: AdminRight,
      decode: (bytes: Buffer) => Request,
      work: (request: Request) => Promise<Response>,
    ): handleUnaryCall<Buffer, Response> =>
    (call: ServerUnaryCall<Buffer, Response>, done: sendUnaryData<Response>) => {
      auth
        .check(call.metadata, right, call.getPeer())
        .then(() => work(decode(call.request)))
        .then(
          (response) => done(null, response),
          (thrown: unknown) => done(failure(thrown, call.getPath())),
        );
    };
  const stores = createStoreChecker();
  const server = createGrpcServer(MAX_REQUEST_BYTES);
  const { status: ofStatus, listServices: ofServices, checkStore: ofCheck } = AdminService;
  server.addService(undecoded(AdminService), {
    status: answer("read", ofStatus.requestDeserialize, async (): Promise<StatusResponse> => modules.status()),
    listServices: answer("read", ofServices.requestDeserialize, async (request): Promise<ListServicesResponse> => {
      const merged = await listServices({ sources, log, applied: modules.applied?.() }, options.clusterId, request);
      return { frontends: [...merged, ...(modules.withoutClusterIp?.(request) ?? [])] };
    }),
    checkStore: answer("dial", ofCheck.requestDeserialize, async (request): Promise<CheckStoreResponse> => {
      return { endpoints: await stores.check(request) };
    }),
  });
  return listen(server, options.address, serverCredentials(modules.tls, { mutual: false }));
}
