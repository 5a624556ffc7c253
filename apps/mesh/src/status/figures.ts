/** The figures of each node: how full the maps of its packets are, and what its programs counted (pure). */
import type { AgentReport, MapUse } from "@isthmus/proto";
import type { ClusterView } from "./collect.js";

/** The maps of packets that fill up: the noun in the map's name, and the size by which it gets more room. */
export const PACKET_MAPS = [
  { noun: "conntrack", size: "flows" },
  { noun: "endpoints", size: "pods" },
  { noun: "pod_ranges", size: "ranges" },
  { noun: "ipcache", size: "addresses" },
  { noun: "ipcache_prefixes", size: "prefixes" },
  { noun: "policy_sets", size: "sets" },
  { noun: "policy_peers", size: "peers" },
  { noun: "policy_ports", size: "ports" },
] as const;

/** Entries of a map. */
export type Fill = Readonly<Pick<MapUse, "used" | "capacity">>;

export interface Count {
  /** Since the node's maps were made. */
  readonly total: bigint;
  /** The part of it that was counted in the last minute, or since the agent's start. */
  readonly lastMinute: bigint;
}

export interface Figures {
  /** `sockets`, whose nodes have no figures of packets, or `packets`. */
  readonly datapathMode: string;
  /** The flows that have not ended; null: not reported. */
  readonly flows: Fill | null;
  /** Likewise the pods of the node. */
  readonly pods: Fill | null;
  /** Likewise the pod ranges of the mesh. */
  readonly ranges: Fill | null;
  /** By name, docs/reference/drop-reasons.md; without those of `drops`. */
  readonly counters: Readonly<Record<string, Count>>;
  /** Dropped packets and refused connects by reason. */
  readonly drops: Readonly<Record<string, Count>>;
}

export interface NodeFigures {
  /** Cluster of the node. */
  readonly cluster: string;
  /** Its name in Kubernetes. */
  readonly node: string;
  /** Null: not reported. */
  readonly figures: Figures | null;
  /** Why they are not reported. */
  readonly problem?: string;
}

/** One for each agent of the clusters that answered, the worst first and those without figures last. */
export function figuresOf(views: readonly ClusterView[]): readonly NodeFigures[] {
  const nodes = views.flatMap(({ cluster, report }) =>
    (report?.agents ?? []).map((agent) => nodeFigures(cluster, agent, report?.version ?? "")),
  );
  return nodes.sort((a, b) => severity(b.figures) - severity(a.figures));
}

/** The share of a map that is in use; 0 for one without room, whose size is not known. */
export function fraction({ used, capacity }: Fill): number {
  return capacity === 0 ? 0 : used / capacity;
}

/** How much was counted in the last minute; 0: nothing, or not reported. */
export function lastMinute(figures: Figures | null, counter: string): bigint {
  return figures?.counters[counter]?.lastMinute ?? 0n;
}

/** Is the map the one with this noun, of whatever layout? */
export function hasNoun(map: string, noun: string): boolean {
  return map.replace(/^mesh_/, "").replace(/_v\d+$/, "") === noun;
}

function nodeFigures(cluster: string, { node, figures, figuresProblem }: AgentReport, version: string): NodeFigures {
  if (figures === undefined) {
    const older = `its clustermesh-apiserver (${version}) is older than this command`;
    return { cluster, node, figures: null, problem: figuresProblem === "" ? older : figuresProblem };
  }
  const counts = (isDrop: boolean) =>
    Object.fromEntries(
      figures.counters
        .filter((counter) => counter.isDrop === isDrop)
        .map(({ name, total, lastMinute }) => [name, { total, lastMinute }]),
    );
  const [flows, pods, ranges] = PACKET_MAPS.map(({ noun }) => fillOf(figures.maps, noun));
  const fills = { flows: flows ?? null, pods: pods ?? null, ranges: ranges ?? null };
  const { datapathMode } = figures;
  return { cluster, node, figures: { datapathMode, ...fills, counters: counts(false), drops: counts(true) } };
}

function fillOf(maps: readonly MapUse[], noun: string): Fill | undefined {
  const found = maps.find(({ map }) => hasNoun(map, noun));
  return found && { used: found.used, capacity: found.capacity };
}

/** Counters that mean trouble when they grow. */
const TROUBLES = ["flow_full", "flow_evicted", "event_lost"];

/** The number of troubles of the last minute, and how full the fullest map is. */
function severity(figures: Figures | null): number {
  if (figures === null) return -1;
  const troubles = TROUBLES.filter((name) => lastMinute(figures, name) > 0n).length;
  const fills = [figures.flows, figures.pods, figures.ranges].map((fill) => (fill === null ? 0 : fraction(fill)));
  return troubles + Math.min(1, Math.max(...fills));
}
