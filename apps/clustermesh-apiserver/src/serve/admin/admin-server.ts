/** gRPC `mesh.v1.Admin` for the CLI: server TLS; the bearer token of every call is reviewed. */
import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js";
import { type Clock, type ClusterId, MeshError } from "@isthmus/model";
import type { Logger, Metrics } from "@isthmus/observe";
import {
  AdminService,
  type CheckStoreResponse,
  type DiffPoliciesRequest,
  type DiffPoliciesResponse,
  type DumpResponse,
  type ExplainPolicyRequest,
  type ExplainPolicyResponse,
  type ExplainServiceRequest,
  type ExplainServiceResponse,
  type FrontendReport,
  type ListPoliciesRequest,
  type ListPoliciesResponse,
  type ListServicesRequest,
  type ListServicesResponse,
  type MonitorResponse,
  type PolicyReport,
  type StatusRequest,
  type StatusResponse,
} from "@isthmus/proto";
import { sleep } from "@isthmus/runtime";
import type { StreamSources } from "../../ports/stream-source.js";
import { createGrpcServer, listen, type RunningServer, serverCredentials, undecoded } from "../grpc/grpc-server.js";
import type { TlsFiles } from "../grpc/tls-files.js";
import type { AdminAuth, AdminRight } from "./admin-auth.js";
import { adminError, isAdminError } from "./admin-error.js";
import { listServices } from "./admin-services.js";
import type { AppliedRecords } from "./applied-records.js";
import { createStoreChecker } from "./check-store.js";
import { startDump } from "./dump.js";
import { type ExplainPolicyModules, explainPolicy } from "./explain-policy.js";
import { type ExplainModules, explainService } from "./explain-service.js";
import { listIdentities } from "./identity-reports.js";
import { type MonitorModules, startMonitor } from "./monitor.js";
import { createNodeFiguresReader } from "./node-figures.js";
import { createOneAtATime } from "./one-at-a-time.js";
import { createRefusedCalls } from "./refused-calls.js";
import type { AppliedPositions } from "./unapplied-records.js";

/** The longest request is a list of endpoints with a CA bundle. Requests are decoded after their caller is authorized. */
const MAX_REQUEST_BYTES = 512 << 10;

/** Readers of events at once: each costs every agent a queue. */
const MAX_MONITORS = 8;
/** Commands that read a node's maps at once, and how long one may take: its caller's right is reviewed at the start only. */
const MAX_DUMPS = 8;
const DUMP_MS = 300_000;
/** Flows and Services that are explained at once: each goes through all policies, or all slices. */
const MAX_EXPLAINS = 8;
/** Comparisons of policies that wait for the one that runs. */
const MAX_WAITING_DIFFS = 4;
/** Nodes that a request may name. */
const MAX_NODES = 1000;
/** How often the right of a reader is reviewed again. */
const RECHECK_MS = 60_000;

/** `Serve` is for agents, on their port. */
const { serve: _, ...FOR_CLI } = AdminService;

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
  readonly applied?: () => AppliedRecords | undefined;
  /** What nodes have applied of each source. Absent: nothing. */
  readonly positions?: AppliedPositions;
  /** What agents report of policies. Absent: nothing. */
  readonly reportedPolicies?: ExplainPolicyModules["reported"];
  /** Absent: `Monitor`, `Dump` and `ExplainPolicy` are refused, and a status has no figures. */
  readonly monitor?: Pick<MonitorModules, "queries" | "nodes">;
  /** Policies of this cluster. Absent: there are none. */
  readonly policies?: (request: ListPoliciesRequest) => readonly PolicyReport[];
  /** Throws an `adminError` for a request that it cannot compare. Absent: `DiffPolicies` is refused. */
  readonly diffPolicies?: (request: DiffPoliciesRequest) => Promise<DiffPoliciesResponse>;
  /** What is known of Services beyond their records. Absent: nothing. */
  readonly explain?: Pick<ExplainModules, "service" | "appliedOn">;
  /** Pods in policy audit mode. */
  readonly auditedPods?: () => number;
  /** Services of this cluster that have no frontend to be merged. */
  readonly withoutClusterIp?: (request: ListServicesRequest) => readonly FrontendReport[];
}

/** `address`: host:port; `clusterId`, `cluster`: the local cluster's. Rejects with `ADDRESS_IN_USE` when it cannot listen. */
export async function startAdminServer(
  options: { readonly address: string; readonly clusterId: ClusterId; readonly cluster: string },
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
      work: (request: Request, check: (right: AdminRight) => Promise<void>) => Promise<Response>,
    ): handleUnaryCall<Buffer, Response> =>
    (call: ServerUnaryCall<Buffer, Response>, done: sendUnaryData<Response>) => {
      const check = (right: AdminRight) => auth.check(call.metadata, right, call.getPeer());
      check(right)
        .then(() => work(decode(call.request), check))
        .then(
          (response) => done(null, response),
          (thrown: unknown) => done(failure(thrown, call.getPath())),
        );
    };
  /** Ends the streams of readers. */
  const monitors = new Set<() => void>();
  /** Begins once the caller is authorized, and ends when it is not any more: its token has a time. */
  const monitor: handleServerStreamingCall<Buffer, MonitorResponse> = (call) => {
    const life = new AbortController();
    const check = () => auth.check(call.metadata, "monitor", call.getPeer());
    const end = () => life.abort();
    for (const event of ["cancelled", "close", "error"]) call.on(event, end);
    const begin = () => {
      if (life.signal.aborted) return;
      const { monitor: parts } = modules;
      if (parts === undefined) throw adminError(status.UNIMPLEMENTED, "this server has no agents");
      if (monitors.size >= MAX_MONITORS)
        throw adminError(status.RESOURCE_EXHAUSTED, `${MAX_MONITORS} commands already monitor here: end one of them`);
      const request = ofMonitor.requestDeserialize(call.request);
      if (request.nodes.length > MAX_NODES)
        throw adminError(status.INVALID_ARGUMENT, `more than ${MAX_NODES} nodes are named: name none for all`);
      const started = startMonitor(request, {
        ...parts,
        clock: modules.clock,
        write: (response) => call.write(response),
      });
      const finish = () => call.end();
      monitors.add(finish);
      call.on("drain", started.drained);
      life.signal.addEventListener("abort", () => {
        monitors.delete(finish);
        started.close();
      });
    };
    const keep = async () => {
      while (!life.signal.aborted) {
        await sleep(modules.clock, RECHECK_MS, life.signal);
        if (!life.signal.aborted) await check().catch(unlessRefused);
      }
    };
    check()
      .then(begin)
      .then(keep)
      .catch((thrown: unknown) => {
        if (life.signal.aborted) return;
        end();
        call.emit("error", failure(thrown, call.getPath()));
      });
  };
  /** Ends the streams of commands that read maps. */
  const dumps = new Set<() => void>();
  /** The right is that of `Monitor`: both show what a node's pods do. */
  const dump: handleServerStreamingCall<Buffer, DumpResponse> = (call) => {
    const life = new AbortController();
    const end = () => life.abort();
    for (const event of ["cancelled", "close", "error"]) call.on(event, end);
    const fail = (thrown: unknown) => {
      if (life.signal.aborted) return;
      end();
      call.emit("error", failure(thrown, call.getPath()));
    };
    const begin = () => {
      if (life.signal.aborted) return;
      const { monitor: parts } = modules;
      if (parts === undefined) throw adminError(status.UNIMPLEMENTED, "this server has no agents");
      if (dumps.size >= MAX_DUMPS)
        throw adminError(status.RESOURCE_EXHAUSTED, `${MAX_DUMPS} commands already read maps here: end one of them`);
      const finish = () => {
        end();
        call.end();
      };
      const running = startDump(ofDump.requestDeserialize(call.request), {
        ...parts,
        write: (response) => call.write(response),
        end: finish,
      });
      if (life.signal.aborted) return void running.close();
      const late = setTimeout(
        () => fail(adminError(status.DEADLINE_EXCEEDED, `the rows were not taken within ${DUMP_MS / 1000} s`)),
        DUMP_MS,
      );
      dumps.add(finish);
      call.on("drain", running.drained);
      life.signal.addEventListener("abort", () => {
        clearTimeout(late);
        dumps.delete(finish);
        running.close();
      });
    };
    auth.check(call.metadata, "monitor", call.getPeer()).then(begin).catch(fail);
  };
  let explains = 0;
  async function explaining<T>(work: () => Promise<T>): Promise<T> {
    if (explains >= MAX_EXPLAINS)
      throw adminError(status.RESOURCE_EXHAUSTED, `${MAX_EXPLAINS} commands already explain something here: try again`);
    explains++;
    try {
      return await work();
    } finally {
      explains--;
    }
  }
  /** The right is that of `Monitor`, too: it shows rows of a node's maps. */
  async function explain(request: ExplainPolicyRequest): Promise<ExplainPolicyResponse> {
    const { monitor: parts, positions: applied = () => undefined, reportedPolicies, clock } = modules;
    if (parts === undefined) throw adminError(status.UNIMPLEMENTED, "this server has no agents");
    const reported = reportedPolicies ?? (() => undefined);
    return explaining(() => explainPolicy(request, { ...parts, sources, local: options, applied, reported, clock }));
  }
  /** The view of a pod shows its node's maps, so it needs the right of `Dump`. */
  async function explainOneService(
    request: ExplainServiceRequest,
    check: (right: AdminRight) => Promise<void>,
  ): Promise<ExplainServiceResponse> {
    if (request.fromPod !== "") await check("monitor");
    return explaining(() =>
      explainService(request, {
        ...{ ...modules.explain, sources, localId: options.clusterId, reports: () => modules.status().sources },
        agents: modules.monitor && { ...modules.monitor, clock: modules.clock },
      }),
    );
  }
  const diffs = createOneAtATime(MAX_WAITING_DIFFS, "comparisons of policies");
  const stores = createStoreChecker();
  const figures = modules.monitor && createNodeFiguresReader({ ...modules.monitor, clock: modules.clock });
  const server = createGrpcServer(MAX_REQUEST_BYTES);
  const { status: ofStatus, listServices: ofServices, checkStore: ofCheck } = AdminService;
  const { listIdentities: ofIdentities, listPolicies: ofPolicies } = AdminService;
  const { explainPolicy: ofExplain, diffPolicies: ofDiff } = AdminService;
  const { monitor: ofMonitor, dump: ofDump, explainService: ofExplainService } = AdminService;
  server.addService(undecoded(FOR_CLI), {
    monitor,
    dump,
    status: answer("read", ofStatus.requestDeserialize, async (request: StatusRequest): Promise<StatusResponse> => {
      const report = modules.status();
      if (!request.figures || figures === undefined) return report;
      return { ...report, agents: await figures.addTo(report.agents) };
    }),
    listServices: answer("read", ofServices.requestDeserialize, async (request): Promise<ListServicesResponse> => {
      const merged = await listServices({ sources, log, applied: modules.applied?.() }, options.clusterId, request);
      return { frontends: [...merged, ...(modules.withoutClusterIp?.(request) ?? [])] };
    }),
    explainService: answer("read", ofExplainService.requestDeserialize, explainOneService),
    listPolicies: answer("read", ofPolicies.requestDeserialize, async (request): Promise<ListPoliciesResponse> => {
      return { policies: [...(modules.policies?.(request) ?? [])], auditedPods: modules.auditedPods?.() ?? 0 };
    }),
    diffPolicies: answer("read", ofDiff.requestDeserialize, (request): Promise<DiffPoliciesResponse> => {
      const { diffPolicies: diff } = modules;
      if (diff === undefined) throw adminError(status.UNIMPLEMENTED, "this server has no policies");
      return diffs.run(() => diff(request));
    }),
    listIdentities: answer("read", ofIdentities.requestDeserialize, (request) => listIdentities(sources, request)),
    explainPolicy: answer("monitor", ofExplain.requestDeserialize, explain),
    checkStore: answer("dial", ofCheck.requestDeserialize, async (request): Promise<CheckStoreResponse> => {
      return { endpoints: await stores.check(request) };
    }),
  });
  const running = await listen(server, options.address, serverCredentials(modules.tls, { mutual: false }));
  return {
    port: running.port,
    close(graceMs) {
      // They have no end of their own: the readers ask the next server.
      for (const finish of [...monitors, ...dumps]) finish();
      return running.close(graceMs);
    },
  };
}

/** A Kubernetes API that does not answer ends no stream that it has allowed. */
function unlessRefused(thrown: unknown): void {
  if (isAdminError(thrown) && thrown.data.status === status.UNAVAILABLE) return;
  throw thrown;
}
