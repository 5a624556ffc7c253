/**
 * The answer of `mesh service explain`: a Service as a pod's cluster merges it, and as the maps of the pod's node hold it.
 *
 * ```
 *   the pod by its name ─► its node ─► what its agent finds for the frontends
 *   records of the Service in all clusters ─► merge and plan, with what each leaves out ─► compared with that
 * ```
 */
import { status } from "@grpc/grpc-js";
import {
  explainService as explainMerge,
  type MergedBackend,
  type MergedFrontend,
  type ServiceMerger,
  wordsAddress,
} from "@isthmus/clustermesh";
import { fromRescueFields, printable, type ServiceName, serviceName, toRescueFields } from "@isthmus/model";
import {
  type ExplainedCluster,
  ExplainedFrontend,
  ExplainedService,
  type ExplainServiceRequest,
  ExplainServiceResponse,
  type FrontendAddress,
  FrontendRowState,
  type FrontendRows,
  type MonitoredNode,
  MonitorState,
  type PeerState,
  type SourceReport,
} from "@isthmus/proto";
import { inTurns } from "@isthmus/runtime";
import type { StreamSource, StreamSources } from "../../ports/stream-source.js";
import { adminError } from "./admin-error.js";
import type { AppliedRecords } from "./applied-records.js";
import { type AskNodeModules, askNode } from "./ask-node.js";
import { explainFrontend } from "./explain-frontend.js";
import { findPod, mergeOneService, podAt } from "./service-view.js";

export interface ExplainModules {
  /** All clusters; read while the answer is made. */
  readonly sources: Pick<StreamSources, "all">;
  /** Real id of the local cluster, which is 0 in `sources`. */
  readonly localId: number;
  /** The states of peers, with what is wrong. */
  readonly reports: () => readonly SourceReport[];
  /** The Service as its user wrote it; absent: only its records are known. */
  readonly service?: ((name: ServiceName) => ExplainedService | undefined) | undefined;
  /** Which Services the node has applied; undefined while the nodes are not known. */
  readonly appliedOn?: ((node: string) => AppliedRecords | undefined) | undefined;
  /** Absent: the server has no agents, and the maps are not read. */
  readonly agents?: AskNodeModules | undefined;
}

/** Frontends of one answer: an agent looks up as many. */
const MAX_FRONTENDS = 16;
/** Backends of one answer, of all frontends. */
const MAX_BACKENDS = 1000;
const MAX_NOTES = 32;
const MAX_NAME = 253;

/** Rejects with INVALID_ARGUMENT for what no object can be named. */
export async function explainService(
  request: ExplainServiceRequest,
  modules: ExplainModules,
): Promise<ExplainServiceResponse> {
  checkNames(request);
  const sources = [...modules.sources.all];
  const name = serviceName(request.namespace, request.name);
  const merger = await inTurns(mergeOneService(sources, modules.localId, name));
  const service = serviceOf(merger, name, modules.service?.(name));
  const found = request.fromPod === "" ? NO_POD : await podOf(sources, request.fromNamespace, request.fromPod);
  const clusters = clustersOf(sources, merger, name, modules);
  const response = { ...ExplainServiceResponse.create(), ...found, clusters, service };
  if (service === undefined || (request.fromPod !== "" && response.pod === undefined)) return response;
  const all = frontendsOf(merger, service, name).filter((each) => isWanted(each, request.port));
  const frontends = all.slice(0, MAX_FRONTENDS);
  const maps = response.pod && modules.agents && (await readMaps(response.pod.node, frontends, modules.agents));
  const applied = response.pod !== undefined && modules.appliedOn?.(response.pod.node)?.on(name) === 1;
  return {
    ...{ ...response, node: maps?.node, applied, frontendsLeftOut: all.length - frontends.length },
    frontends: explainAll(frontends, { sources, applied, rows: maps?.rows ?? [] }),
  };
}

function checkNames({ namespace, name, port, fromNamespace, fromPod }: ExplainServiceRequest): void {
  if (namespace === "" || name === "" || [namespace, name, port, fromNamespace, fromPod].some(isTooLong))
    throw adminError(status.INVALID_ARGUMENT, "the Service has no name, or a name is too long");
  if ((fromNamespace === "") !== (fromPod === ""))
    throw adminError(status.INVALID_ARGUMENT, "a pod has a namespace and a name");
}

function isTooLong({ length }: string): boolean {
  return length > MAX_NAME;
}

type FoundPod = Pick<ExplainServiceResponse, "pod" | "podClusters">;
const NO_POD: FoundPod = { pod: undefined, podClusters: [] };

/** The pod in the local cluster, or else which clusters have one of that name. */
async function podOf(sources: readonly StreamSource[], namespace: string, name: string): Promise<FoundPod> {
  const local = sources.find(({ clusterId }) => clusterId === 0);
  const pod = local && (await inTurns(findPod(local, namespace, name)));
  if (pod !== undefined) return { pod, podClusters: [] };
  const podClusters: string[] = [];
  for (const source of sources)
    if (source !== local && (await inTurns(findPod(source, namespace, name))) !== undefined)
      podClusters.push(source.cluster);
  return { pod: undefined, podClusters };
}

/** Undefined when the local cluster has no such Service. `written`: by its object, which records take precedence of. */
function serviceOf(
  { views, configs }: ServiceMerger,
  name: ServiceName,
  written: ExplainedService | undefined,
): ExplainedService | undefined {
  const record = [...views.values()].find(({ local }) => local)?.services.get(name);
  const config = configs.get(name);
  if (record === undefined && config === undefined) return written;
  const service = written ?? ExplainedService.fromPartial({ service: name });
  return {
    ...service,
    ...(record && { addresses: record.frontends, ports: record.ports, shared: record.shared }),
    ...(config && { global: config.global, affinity: config.affinity, ...toRescueFields(fromRescueFields(config)) }),
    notes: (config?.notes ?? service.notes).slice(0, MAX_NOTES),
  };
}

/** The local cluster first; a peer that has no source yet is one without records. */
function clustersOf(
  sources: readonly StreamSource[],
  { views }: ServiceMerger,
  service: ServiceName,
  { localId, reports }: ExplainModules,
): ExplainedCluster[] {
  const reported = new Map(reports().map((report) => [report.cluster, report]));
  const clusters = sources.map((source): ExplainedCluster => {
    const record = views.get(source.cluster)?.services.get(service);
    const report = reported.get(source.cluster);
    reported.delete(source.cluster);
    return {
      cluster: source.cluster,
      clusterId: source.clusterId === 0 ? localId : source.clusterId,
      ...stateOf(report, source.state().status),
      exported: record !== undefined,
      shared: record?.shared ?? false,
    };
  });
  for (const report of reported.values())
    clusters.push({
      ...{ cluster: report.cluster, clusterId: report.clusterId, exported: false, shared: false },
      ...stateOf(report, report.peerState),
    });
  return clusters.sort((a, b) => Number(b.clusterId === localId) - Number(a.clusterId === localId));
}

function stateOf(
  report: SourceReport | undefined,
  peerState: PeerState,
): Pick<ExplainedCluster, "peerState" | "message" | "refused"> {
  return { peerState, message: printable(report?.message ?? "", 512), refused: report?.refused ?? [] };
}

/** A frontend, and the merge of it; without one the Service is left to another proxy. */
interface Frontend extends FrontendAddress {
  readonly portName: string;
  readonly merged: MergedFrontend | undefined;
}

function frontendsOf(
  { views, configs }: ServiceMerger,
  { addresses, ports, left }: ExplainedService,
  name: ServiceName,
): readonly Frontend[] {
  if (!left)
    return explainMerge(name, views, configs).map((merged) => {
      const { address, port, protocol, portName } = merged;
      return { address: Buffer.from(address), port, protocol, portName, merged };
    });
  return addresses.flatMap((address) =>
    ports.map(({ port, protocol, name: portName }) => ({ address, port, protocol, portName, merged: undefined })),
  );
}

/** `wanted`: a number or a name; "": each. */
function isWanted({ port, portName }: Frontend, wanted: string): boolean {
  return wanted === "" || wanted === portName || wanted === String(port);
}

function explainAll(
  frontends: readonly Frontend[],
  { sources, applied, rows }: { sources: readonly StreamSource[]; applied: boolean; rows: readonly FrontendRows[] },
): ExplainedFrontend[] {
  const byCluster = new Map(sources.map((source) => [source.cluster, source]));
  const podOfBackend = (backend: MergedBackend) => {
    const source = byCluster.get(backend.cluster);
    return source === undefined ? { namespace: "", pod: "" } : podAt(source, wordsAddress(backend));
  };
  let room = MAX_BACKENDS;
  return frontends.map(({ merged, ...frontend }, i) => {
    if (merged === undefined) return leftFrontend(frontend, rows[i]);
    const report = explainFrontend({ merged, rows: rows[i], applied, podAt: podOfBackend }, room);
    room -= report.backends.length;
    return report;
  });
}

/** Of a Service that is left to another proxy: no program may answer for it. */
function leftFrontend(frontend: Omit<Frontend, "merged">, rows: FrontendRows | undefined): ExplainedFrontend {
  const isLeft = rows === undefined || rows.state === FrontendRowState.FRONTEND_ROW_STATE_OTHER_PROXY;
  const differences = isLeft ? [] : ["no row that leaves the address to another proxy"];
  return ExplainedFrontend.fromPartial({ ...frontend, rows, differences });
}

/** What the node's maps hold for these frontends, in their order; none unless the node is HEARD. */
async function readMaps(
  node: string,
  frontends: readonly FrontendAddress[],
  modules: AskNodeModules,
): Promise<{ readonly node: MonitoredNode; readonly rows: readonly FrontendRows[] }> {
  const asked = frontends.map(({ address, port, protocol }) => ({ address, port, protocol }));
  const answer = await askNode(node, { $case: "frontends", value: { frontends: asked } }, "frontends", modules);
  if (answer.part === undefined) return { node: answer.node, rows: [] };
  const rows = answer.part.value.frontends;
  if (rows.length === asked.length && rows.every(isComplete)) return { node: answer.node, rows: rows.map(cleaned) };
  const message = "its agent does not answer what was asked";
  return { node: { ...answer.node, state: MonitorState.MONITOR_STATE_UNAVAILABLE, message }, rows: [] };
}

function isComplete({ tiers, activeTier }: FrontendRows): boolean {
  const hasAddresses = tiers.every(({ backends }) => backends.every(({ address }) => address.length === 16));
  return hasAddresses && activeTier <= tiers.length;
}

/** As it may be shown. Numbers are bounded by their types. */
function cleaned(rows: FrontendRows): FrontendRows {
  const tiers = rows.tiers.map((tier) => {
    return { ...tier, backends: tier.backends.map((each) => ({ ...each, rankName: printable(each.rankName, 16) })) };
  });
  const problems = rows.problems.map((problem) => printable(problem, 512));
  return { ...rows, tiers, plannedFor: printable(rows.plannedFor, 320), problems };
}
