/** Prints `mesh service explain` (pure). */
import { formatAddress, formatRescueAfter, fromRescueFields, isV4, protocolName, table } from "@isthmus/model";
import {
  Affinity,
  type ExplainedBackend,
  type ExplainedCluster,
  type ExplainedFrontend,
  type ExplainedService,
  type ExplainServiceResponse,
  FrontendRowState,
  type FrontendRows,
  MonitorState,
  type Port,
  type TierRows,
} from "@isthmus/proto";
import { peerStates, refusalReasons } from "@isthmus/records";
import { counted, shellWord } from "../output/units.js";

/** True when each frontend has a backend to which new connections may go. */
export function isUsable({ frontends }: ExplainServiceResponse): boolean {
  return frontends.length > 0 && frontends.every(({ backends }) => backends.some(isUsed));
}

/** `context`: of the pod's cluster. */
export function explainText(answer: ExplainServiceResponse, context: string): string {
  const { service, clusters, frontends, frontendsLeftOut } = answer;
  const parts = [
    ...(service === undefined ? [] : [serviceText(service, clusters)]),
    podText(answer),
    table(
      clusters.map((cluster, i) => clusterRow(cluster, i === 0)),
      ["CLUSTER", "RECORDS", "SERVICE THERE", "NOTES"],
    ),
    ...frontends.map((frontend) => frontendText(frontend, answer)),
    ...(frontends.length === 0 ? [`${whyNoFrontend(service)}\n`] : []),
    ...(frontendsLeftOut === 0 ? [] : [`${counted(frontendsLeftOut, "more frontend")} not shown: name a port\n`]),
    policyLine(answer, context),
  ];
  return parts.filter((part) => part !== "").join("\n");
}

/** `10.1.0.5:8080`, `[fd00::1]:8080` */
export function endpointText(address: Uint8Array, port: number): string {
  const ip = address.length === 16 ? formatAddress(address) : "?";
  return `${address.length === 16 && !isV4(address) ? `[${ip}]` : ip}:${port}`;
}

/** `80/TCP (http)` */
export function portText({ name, port, protocol }: Port): string {
  return `${port}/${protocolName(protocol)}${name === "" ? "" : ` (${name})`}`;
}

export const AFFINITIES: Readonly<Record<number, string>> = {
  [Affinity.AFFINITY_NONE]: "none",
  [Affinity.AFFINITY_LOCAL]: "local",
  [Affinity.AFFINITY_REMOTE]: "remote",
};

function serviceText(service: ExplainedService, [local]: readonly ExplainedCluster[]): string {
  const { addresses, ports, global, shared, affinity, annotations, notes } = service;
  const inForce = [
    global ? "global" : "not global",
    ...(global ? [shared ? "shared" : "not shared", `affinity ${AFFINITIES[affinity] ?? affinity}`] : []),
    `rescue-after ${formatRescueAfter(fromRescueFields(service))}`,
  ];
  const rows = [
    ["ClusterIP", addresses.map((address) => formatAddress(address)).join(", ") || "none"],
    ["Ports", ports.map(portText).join(", ") || "none"],
    ["In force", inForce.join(", ")],
    ["Annotations", annotations.map(({ key, value }) => `${key}=${value}`).join(", ") || "none of the mesh"],
    ...notes.map((note) => ["Not as written", note]),
  ];
  return `Service ${service.service} in cluster ${local?.cluster ?? "?"}\n${table(rows.map(([name = "", text = ""]) => [`  ${name}`, text]))}`;
}

function podText({ pod, node, applied }: ExplainServiceResponse): string {
  if (pod === undefined) return "Without --from: what the cluster's records say, not what the maps of a node hold\n";
  const addresses = pod.addresses.map((address) => formatAddress(address)).join(", ");
  const what = applied
    ? "which has applied the latest records of the Service"
    : "which has not applied the latest records of the Service";
  const unread = node?.state === MonitorState.MONITOR_STATE_HEARD ? "" : "; its maps could not be read";
  return table([[`Pod ${pod.namespace}/${pod.pod} (${addresses}) on node ${pod.node}, ${what}${unread}`]]);
}

function clusterRow(cluster: ExplainedCluster, isLocal: boolean): readonly string[] {
  const { exported, shared, message, refused, peerState } = cluster;
  const refusals = refused.map(
    ({ count, refusalReason, reason, example }) =>
      `${counted(count, "record")} of it refused (${refusalReasons.show(refusalReason, reason)}: ${example})`,
  );
  const remote = exported ? (shared ? "global, shared" : "global, not shared") : "none exported";
  const there = isLocal ? "local" : remote;
  return [
    cluster.cluster,
    peerStates.name(peerState),
    there,
    [message, ...refusals].filter((text) => text !== "").join("; "),
  ];
}

function whyNoFrontend(service: ExplainedService | undefined): string {
  if (service?.left) return `No frontend: its label leaves the Service to proxy "${service.otherProxy}"`;
  if (service?.addresses.length === 0)
    return "No frontend: the Service has no ClusterIP (headless or ExternalName), so its clients dial its pods";
  return "No frontend: the Service has no port that is served";
}

const HEADER = ["USE", "TIER", "SLOTS", "CLUSTER", "BACKEND", "POD", "NODE", "STATE", "MAPS", "WHY NOT"];

function frontendText(frontend: ExplainedFrontend, answer: ExplainServiceResponse): string {
  const { address, port, protocol, portName, backends, backendsLeftOut, leftOut, problem } = frontend;
  const name = `${endpointText(address, port)}/${protocolName(protocol)}${portName === "" ? "" : ` (${portName})`}`;
  const lines = [
    `Frontend ${name}: ${whereTo(frontend, answer)}\n`,
    backends.length === 0 ? "" : backendTable(frontend),
    backendsLeftOut === 0 ? "" : `  ${counted(backendsLeftOut, "more backend")} not shown\n`,
    problem === "" ? "" : table([[`  ${problem}`]]),
    ...leftOut.map(({ cluster, keptOut }) => table([[`  Nothing of ${cluster}: ${keptOut}`]])),
    ...mapsText(frontend, answer).map((line) => table([[`  ${line}`]])),
  ];
  return lines.join("");
}

const MAPS_COLUMN = HEADER.indexOf("MAPS");

/** Without the column MAPS when they were not read. */
function backendTable(frontend: ExplainedFrontend): string {
  const rows = [HEADER, ...frontend.backends.map((backend) => backendRow(backend, frontend))];
  return table(frontend.rows === undefined ? rows.map((row) => row.filter((_, i) => i !== MAPS_COLUMN)) : rows);
}

function whereTo({ tiers, backends, rows }: ExplainedFrontend, { service }: ExplainServiceResponse): string {
  if (service?.left) return `left to proxy "${service.otherProxy}" by the Service's label`;
  const used = backends.filter(isUsed);
  const tier = used[0]?.tier;
  if (tier === undefined)
    return rows !== undefined && rows.state !== FrontendRowState.FRONTEND_ROW_STATE_SERVICE
      ? (ROW_STATES[rows.state] ?? "unknown kind of row")
      : "no backend can be used: connects are refused";
  const clusters = [...new Set(used.map(({ cluster }) => cluster))].sort();
  const of = tiers.length === 1 ? "the only tier" : `tier ${tier} of ${tiers.length}`;
  return `new connections go to ${of}: ${counted(used.length, "backend")} of ${clusters.join(", ")}`;
}

export const ROW_STATES: Readonly<Record<number, string>> = {
  [FrontendRowState.FRONTEND_ROW_STATE_SERVICE]: "leads to a service row",
  [FrontendRowState.FRONTEND_ROW_STATE_REFUSED]: "no row for this port on the node: connects are refused",
  [FrontendRowState.FRONTEND_ROW_STATE_OTHER_PROXY]: "left to another proxy on the node",
  [FrontendRowState.FRONTEND_ROW_STATE_UNKNOWN]: "no row on the node, in a range of ClusterIPs: connects fail at once",
  [FrontendRowState.FRONTEND_ROW_STATE_NONE]: "no row on the node: programs leave it alone",
};

function isUsed({ exclusion }: ExplainedBackend): boolean {
  return exclusion === 0;
}

function backendRow(backend: ExplainedBackend, { tiers, rows }: ExplainedFrontend): readonly string[] {
  const { cluster, address, port, namespace, pod, node, tier, slots, reason } = backend;
  const all = tiers[tier - 1]?.slots;
  return [
    isUsed(backend) ? "yes" : "no",
    tier === 0 ? "-" : String(tier),
    all === undefined ? "-" : `${slots}/${all}`,
    ...[
      cluster,
      endpointText(address, port),
      pod === "" ? "-" : `${namespace}/${pod}`,
      node || "-",
      stateText(backend),
    ],
    mapsCell(backend, rows),
    reason,
  ];
}

/** ready, terminating (and still serving), not ready */
export function stateText({ ready, serving }: ExplainedBackend): string {
  if (ready) return "ready";
  return serving ? "terminating" : "not ready";
}

function mapsCell({ rows: slots }: ExplainedBackend, rows: FrontendRows | undefined): string {
  if (slots === undefined || rows === undefined) return (rows?.backendsLeftOut ?? 0) > 0 ? "not read" : "-";
  const tier = 1 + rows.tiers.findIndex(({ backends }) => backends.some(({ index }) => index === slots.index));
  const leaving = slots.terminating ? ", terminating" : "";
  const row = `${slots.index}#${slots.generation}`;
  return `tier ${tier}, ${counted(slots.slots, "slot")}, ${row}, ${slots.rankName || `rank ${slots.rank}`}${leaving}`;
}

function mapsText(
  { rows, differences }: ExplainedFrontend,
  { pod, applied }: ExplainServiceResponse,
): readonly string[] {
  if (rows === undefined) return [];
  const { state, service, generation, tiers, activeTier, plannedFor, problems } = rows;
  const rescue = formatRescueAfter(fromRescueFields(rows));
  const owner = plannedFor === "" ? "which its agent knows no Service of" : `for Service ${plannedFor}`;
  const what =
    state === FrontendRowState.FRONTEND_ROW_STATE_SERVICE
      ? `service row ${service} (generation ${generation}), rescue-after ${rescue}, ${owner}${tiers.length === 0 ? ", no tiers" : ""}`
      : (ROW_STATES[state] ?? `row of kind ${state}`);
  const agree = applied
    ? "They differ from the records that the node has applied"
    : "They differ from the records, which the node has not applied yet";
  return [
    `Maps of ${pod?.node ?? "the node"}: ${what}`,
    ...tiers.map((tier, i) => tierText(tier, i + 1, i + 1 === activeTier)),
    differences.length === 0 ? "They agree with the records" : `${agree}: ${differences.join("; ")}`,
    ...problems.map((problem) => `Problem on the node: ${problem}`),
  ];
}

function tierText({ line, slots, tries, cluster, skipped, stale }: TierRows, tier: number, isActive: boolean): string {
  const parts = [
    `${counted(slots, "slot")} from line ${line}`,
    `${counted(tries, "further probe")}`,
    cluster === 0 ? "of several clusters" : `all of cluster ${cluster}`,
    ...(stale > 0 ? [`${counted(stale, "slot")} whose backend is gone`] : []),
    ...(skipped ? ["skipped, since that cluster is down"] : []),
    ...(isActive ? ["programs start here"] : []),
  ];
  return `  tier ${tier}: ${parts.join(", ")}`;
}

/** The command that judges the pod's policies for one backend. */
function policyLine({ pod, frontends }: ExplainServiceResponse, context: string): string {
  const backends = frontends.flatMap(({ backends }) => backends);
  const backend = backends.find(isUsed) ?? backends[0];
  if (pod === undefined || backend === undefined) return "";
  const to = `${endpointText(backend.address, backend.port)}/${protocolName(backend.protocol)}`;
  const from = shellWord(`${context}/${pod.namespace}/${pod.pod}`);
  return `Policies are not judged here. For one backend: mesh policy explain --from ${from} --to ${shellWord(to)}\n`;
}
