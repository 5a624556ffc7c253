/**
 * Explains one frontend (pure): each backend of every cluster, with its tier and slots, or what keeps new connections from it.
 *
 * ```
 *   merge ─► plan ─► what the node's maps hold
 *     └───────┴────────────┴── each has left backends out, and says why
 * ```
 * What the merge and the plan leave out, they say themselves (libs/clustermesh, libs/loadbalancer). The maps decide between the
 * others: the agent says which tier programs start at, and how backends are ranked.
 */
import { type MergedBackend, type MergedFrontend, wordsAddress } from "@isthmus/clustermesh";
import { type FrontendPlan, type PlanResult, planFrontend } from "@isthmus/loadbalancer";
import { bytesKey, fromRescueFields, formatAddress, formatRescueAfter, isV4, printable } from "@isthmus/model";
import {
  BackendExclusion,
  type BackendSlots,
  ExplainedBackend,
  ExplainedFrontend,
  FrontendRowState,
  type FrontendRows,
  type TierRows,
} from "@isthmus/proto";

export interface FrontendFacts {
  /** With the backends that the merge leaves out. */
  readonly merged: MergedFrontend;
  /** Of the pod's node; undefined: the maps were not read. */
  readonly rows: FrontendRows | undefined;
  /** The node has applied all records that were merged. */
  readonly applied: boolean;
  /** Who has a backend's address, as its cluster reports it. */
  readonly podAt: (backend: MergedBackend) => Pick<ExplainedBackend, "namespace" | "pod">;
}

/** Sentences about one frontend. */
const MAX_DIFFERENCES = 8;

/** Backends in the order of tiers, those in no tier last; `most` of them. */
export function explainFrontend(facts: FrontendFacts, most: number): ExplainedFrontend {
  const { merged, rows } = facts;
  const result = planFrontend(merged);
  const all = result.ok ? plannedBackends(facts, result.plan) : unplannedBackends(facts, result);
  const backends = all.sort(byUse);
  return ExplainedFrontend.fromPartial({
    ...{ address: Buffer.from(merged.address), port: merged.port, protocol: merged.protocol },
    portName: merged.portName,
    tiers: result.ok ? tiersOf(result.plan) : [],
    leftOut: merged.excluded.map(({ cluster, reason }) => ({ cluster, keptOut: reason })),
    backends: backends.slice(0, most),
    backendsLeftOut: Math.max(0, backends.length - most),
    problem: result.ok ? "" : result.error.message,
    rows,
    differences: result.ok && rows !== undefined ? differences(result.plan, rows) : [],
  });
}

function tiersOf({ tiers }: FrontendPlan): ExplainedFrontend["tiers"] {
  return tiers.map(({ slots }) => ({
    clusters: [...new Set(slots.map(({ cluster }) => cluster))].sort(),
    slots: slots.length,
  }));
}

function plannedBackends(facts: FrontendFacts, plan: FrontendPlan): ExplainedBackend[] {
  const found = slotsByBackend(facts.rows?.tiers ?? []);
  const backends: ExplainedBackend[] = [];
  plan.tiers.forEach(({ slots }, i) => {
    for (const [backend, count] of counted(slots)) {
      const inMaps = found.get(keyOf(backend));
      const use = useOf(facts, plan, { tier: i + 1, inMaps });
      backends.push(reportOf(facts, backend, { tier: i + 1, slots: count, ...use, rows: inMaps?.slots }));
    }
  });
  for (const { backend, cause, reason } of plan.excludedBackends ?? []) {
    const rows = found.get(keyOf(backend))?.slots;
    backends.push(reportOf(facts, backend, { exclusion: cause, reason, rows }));
  }
  return backends;
}

/** Nodes keep what they had, so what the maps hold is shown, and no backend has a tier. */
function unplannedBackends(facts: FrontendFacts, { error }: Extract<PlanResult, { ok: false }>): ExplainedBackend[] {
  const { merged, rows } = facts;
  const found = slotsByBackend(rows?.tiers ?? []);
  const why = { exclusion: BackendExclusion.BACKEND_EXCLUSION_PLAN, reason: error.message };
  const backends = merged.tiers.flatMap(({ backends }) => backends);
  return [
    ...backends.map((backend) => reportOf(facts, backend, { ...why, rows: found.get(keyOf(backend))?.slots })),
    ...(merged.excludedBackends ?? []).map(({ backend, cause, reason }) =>
      reportOf(facts, backend, { exclusion: cause, reason, rows: found.get(keyOf(backend))?.slots }),
    ),
  ];
}

function reportOf(
  { podAt }: FrontendFacts,
  backend: MergedBackend,
  use: Partial<Pick<ExplainedBackend, "tier" | "slots" | "exclusion" | "reason" | "rows">>,
): ExplainedBackend {
  const { cluster, port, protocol, node, ready, serving } = backend;
  const address = Buffer.from(wordsAddress(backend));
  return ExplainedBackend.fromPartial({
    ...{ cluster, address, port, protocol, node: printable(node, 253), ready, serving },
    ...podAt(backend),
    ...use,
  });
}

type Use = Pick<ExplainedBackend, "exclusion" | "reason">;

/** Slots of one backend in the maps. */
interface InMaps {
  /** From 1. */
  readonly tier: number;
  readonly slots: BackendSlots;
}

/** What of the tiers and the maps keeps new connections from a backend that is planned. */
function useOf(
  { merged, rows, applied }: FrontendFacts,
  plan: FrontendPlan,
  { tier, inMaps }: { readonly tier: number; readonly inMaps: InMaps | undefined },
): Use {
  if (rows === undefined) return tier === 1 ? IN_USE : otherTier(plan, 1);
  if (rows.plannedFor !== "" && rows.plannedFor !== merged.service) {
    const reason = `The frontend is of Service "${rows.plannedFor}" on the node, which has the same ClusterIP`;
    return { exclusion: BackendExclusion.BACKEND_EXCLUSION_OTHER_SERVICE, reason };
  }
  // What did not fit into the agent's answer is taken to be as planned.
  if (inMaps === undefined && rows.backendsLeftOut > 0) return tier === 1 ? IN_USE : otherTier(plan, 1);
  if (inMaps === undefined) {
    const why = rows.problems[0] ?? (applied ? WITHOUT_ROW : NOT_APPLIED);
    return { exclusion: BackendExclusion.BACKEND_EXCLUSION_NOT_IN_MAPS, reason: why };
  }
  const active = rows.tiers[rows.activeTier - 1];
  if (inMaps.tier > rows.activeTier) return otherTier(plan, rows.activeTier);
  const lowest = Math.min(...(active?.backends ?? []).map(({ rank }) => rank));
  const isBest = inMaps.tier === rows.activeTier && inMaps.slots.rank <= lowest;
  return isBest ? IN_USE : { exclusion: BackendExclusion.BACKEND_EXCLUSION_RANK, reason: rankReason(inMaps.slots) };
}

const IN_USE: Use = { exclusion: BackendExclusion.BACKEND_EXCLUSION_UNSPECIFIED, reason: "" };
const NOT_APPLIED = "The node has not applied the latest records of the Service yet";
const WITHOUT_ROW = "The node has applied the records, and has no slot with it: see the agent's log";

function otherTier({ tiers }: FrontendPlan, active: number): Use {
  const clusters = [...new Set(tiers[active - 1]?.slots.map(({ cluster }) => `"${cluster}"`))].sort();
  const of = clusters.length === 0 ? "" : ` (${clusters.slice(0, 4).join(", ")}${clusters.length > 4 ? ", …" : ""})`;
  const reason = `In reserve: tier ${active}${of} has backends that are up`;
  return { exclusion: BackendExclusion.BACKEND_EXCLUSION_OTHER_TIER, reason };
}

/** Which of the three ranks is the highest, and its reporter. */
function rankReason({ rank, rankName, ownRank, clusterState, nodeState, cluster, node }: BackendSlots): string {
  const name = rankName === "" ? `of rank ${rank}` : rankName;
  if (ownRank === rank) return `Its row says that it is ${name}`;
  // Byte r-1 of a state word has the reporters of rank r.
  const reporters = (word: number) => (word >>> (8 * (rank - 1))) & 0xff;
  const [of, word] = reporters(clusterState) !== 0 ? [`cluster ${cluster}`, clusterState] : [`node ${node}`, nodeState];
  const list = Array.from({ length: 8 }, (_, bit) => bit).filter((bit) => ((reporters(word) >>> bit) & 1) === 1);
  return `The maps say that ${of} is ${name}, by reporter ${list.join(", ")}`;
}

/** How the maps differ from the plan. */
function differences({ frontend, tiers }: FrontendPlan, rows: FrontendRows): string[] {
  if (rows.state !== FrontendRowState.FRONTEND_ROW_STATE_SERVICE) return [STATES[rows.state] ?? "Unknown kind of row"];
  const found: string[] = [];
  const compare = (what: string, inMaps: string | number, planned: string | number) => {
    if (inMaps !== planned) found.push(`${what}: ${inMaps} in the maps, ${planned} by the records`);
  };
  compare("rescue-after", formatRescueAfter(fromRescueFields(rows)), formatRescueAfter(frontend.rescueAfter));
  compare("tiers", rows.tiers.length, tiers.length);
  tiers.forEach((tier, i) => {
    const has = rows.tiers[i];
    if (has === undefined) return;
    const of = `tier ${i + 1}`;
    compare(`slots of ${of}`, has.slots, tier.slots.length);
    compare(`further probes in ${of}`, has.tries, tier.tries);
    compare(`cluster of all backends of ${of}`, has.cluster, tier.cluster);
    compare(`slots of ${of} whose backend is gone`, has.stale, 0);
    if (rows.backendsLeftOut === 0) compareSlots(of, has, tier.slots, compare);
  });
  const more = found.length - MAX_DIFFERENCES;
  return more > 0 ? [...found.slice(0, MAX_DIFFERENCES), `and ${more} more differences`] : found;
}

const STATES: Readonly<Record<number, string>> = {
  [FrontendRowState.FRONTEND_ROW_STATE_REFUSED]: "no row for this port: connects are refused",
  [FrontendRowState.FRONTEND_ROW_STATE_OTHER_PROXY]: "the row leaves the address to another proxy",
  [FrontendRowState.FRONTEND_ROW_STATE_UNKNOWN]: "no row for this address of the Service ranges: connects fail at once",
  [FrontendRowState.FRONTEND_ROW_STATE_NONE]: "no row: programs leave the address alone",
};

function compareSlots(
  of: string,
  { backends }: TierRows,
  slots: readonly MergedBackend[],
  compare: (what: string, inMaps: number, planned: number) => void,
): void {
  const planned = new Map([...counted(slots)].map(([backend, count]) => [keyOf(backend), { backend, count }]));
  for (const has of backends) {
    const key = rowKey(has);
    compare(`slots of ${endpointText(has)} in ${of}`, has.slots, planned.get(key)?.count ?? 0);
    planned.delete(key);
  }
  for (const { backend, count } of planned.values())
    compare(`slots of ${endpointText({ address: wordsAddress(backend), port: backend.port })} in ${of}`, 0, count);
}

function endpointText({ address, port }: { readonly address: Uint8Array; readonly port: number }): string {
  return isV4(address) ? `${formatAddress(address)}:${port}` : `[${formatAddress(address)}]:${port}`;
}

function slotsByBackend(tiers: readonly TierRows[]): ReadonlyMap<string, InMaps> {
  const found = new Map<string, InMaps>();
  tiers.forEach(({ backends }, i) => {
    for (const slots of backends) if (!found.has(rowKey(slots))) found.set(rowKey(slots), { tier: i + 1, slots });
  });
  return found;
}

function keyOf(backend: MergedBackend): string {
  const { port, protocol, clusterId: cluster } = backend;
  return rowKey({ address: wordsAddress(backend), port, protocol, cluster });
}

function rowKey({
  address,
  port,
  protocol,
  cluster,
}: {
  readonly address: Uint8Array;
  readonly port: number;
  readonly protocol: number;
  readonly cluster: number;
}): string {
  return `${bytesKey(address)} ${port} ${protocol} ${cluster}`;
}

/** Each backend once, with the number of its slots. */
function counted(slots: readonly MergedBackend[]): ReadonlyMap<MergedBackend, number> {
  const counts = new Map<MergedBackend, number>();
  for (const slot of slots) counts.set(slot, (counts.get(slot) ?? 0) + 1);
  return counts;
}

/** Those that get new connections first, then by tier, cluster and address. */
function byUse(a: ExplainedBackend, b: ExplainedBackend): number {
  const place = ({ exclusion, tier }: ExplainedBackend) => (exclusion === 0 ? 0 : tier === 0 ? 9 : tier);
  const text = ({ cluster }: ExplainedBackend) => cluster;
  return (
    place(a) - place(b) ||
    (text(a) < text(b) ? -1 : text(a) > text(b) ? 1 : 0) ||
    Buffer.compare(a.address, b.address) ||
    a.port - b.port
  );
}
