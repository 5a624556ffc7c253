/**
 * Counts on how many nodes a Service is applied as it is merged here, from the agents' acknowledged positions.
 *
 * In: the sources, each node's agent, and the position of each source up to which the node has applied it. A node counts for a
 * Service when no record of the Service changed after that position; a node whose agent is not connected counts for none.
 * Missing Services are computed once per group of nodes at the same positions; a query for one Service is one lookup.
 */
import { Kind, type Position } from "@isthmus/proto";
import { parseKey, type SourceIndex } from "@isthmus/records";
import type { StreamSource } from "../../ports/stream-source.js";
import { positionText } from "../agents/source-encoder.js";

export interface AgentNode {
  /** The name of the Node object. */
  readonly node: string;
  /** False: the node counts as if it had applied nothing. */
  readonly connected: boolean;
}

export interface AppliedServicesModules {
  /** The local cluster and all peers. */
  readonly sources: readonly StreamSource[];
  /** Undefined: the cluster's nodes are not known. */
  readonly agents: readonly AgentNode[] | undefined;
  /** The position of the source that the node has applied; undefined: nothing of it. */
  readonly applied: (node: string, clusterId: number) => Position | undefined;
}

export interface AppliedServices {
  /** Number of nodes of the cluster. */
  readonly nodes: number;
  /** Number of nodes that have applied the Service's latest state. */
  on(service: string): number;
}

/** Services whose latest state a node does not have. */
type Lacking = ReadonlySet<string> | "all";

/** Undefined while the nodes are not known, and for a cluster without nodes. Counts as of this call. */
export function appliedServices(modules: AppliedServicesModules): AppliedServices | undefined {
  const { agents, sources, applied } = modules;
  if (agents === undefined || agents.length === 0) return undefined;
  const connected = agents.filter((agent) => agent.connected);
  const changedAfter = createChangedAfter();
  let lackingAll = agents.length - connected.length;
  /** By Service: number of nodes that lack it, without the nodes that lack all Services. */
  const lacking = new Map<string, number>();
  for (const { positions, nodes } of byPositions(sources, connected, applied)) {
    const services = union(sources.map((source, i) => changedAfter(source, positions[i])));
    if (services === "all") lackingAll += nodes;
    else for (const service of services) lacking.set(service, (lacking.get(service) ?? 0) + nodes);
  }
  return {
    nodes: agents.length,
    on: (service) => agents.length - lackingAll - (lacking.get(service) ?? 0),
  };
}

/** Nodes at the same positions of all sources. */
interface Group {
  /** In the order of the sources. */
  readonly positions: readonly (Position | undefined)[];
  nodes: number;
}

function byPositions(
  sources: readonly StreamSource[],
  agents: readonly AgentNode[],
  applied: AppliedServicesModules["applied"],
): Iterable<Group> {
  const groups = new Map<string, Group>();
  for (const { node } of agents) {
    const positions = sources.map(({ clusterId }) => applied(node, clusterId));
    const key = positions.map(positionText).join(" ");
    const group = groups.get(key) ?? { positions, nodes: 0 };
    group.nodes++;
    groups.set(key, group);
  }
  return groups.values();
}

function union(parts: readonly Lacking[]): Lacking {
  const services = new Set<string>();
  for (const part of parts) {
    if (part === "all") return "all";
    for (const service of part) services.add(service);
  }
  return services;
}

const NONE: Lacking = new Set();

/** Looks up the changes after a position once, since groups may share the position of a source. */
function createChangedAfter(): (source: StreamSource, applied: Position | undefined) => Lacking {
  const known = new Map<SourceIndex, Map<string, Lacking>>();
  return ({ index }, applied) => {
    const ofIndex = known.get(index) ?? new Map<string, Lacking>();
    known.set(index, ofIndex);
    const at = positionText(applied);
    const services = ofIndex.get(at) ?? servicesAfter(index, applied);
    ofIndex.set(at, services);
    return services;
  };
}

function servicesAfter(index: SourceIndex, applied: Position | undefined): Lacking {
  if (index.announced === undefined) return NONE;
  // The node has nothing of this source, so it lacks all of it.
  if (applied === undefined) return servicesOf(index.records(Kind.KIND_SERVICE));
  const since = index.since(applied);
  return typeof since === "string" ? "all" : servicesOf([...since.upserts, ...since.deletes]);
}

function servicesOf(records: Iterable<{ readonly key: string }>): Lacking {
  const services = new Set<string>();
  for (const { key } of records) {
    const parsed = parseKey(key);
    if (parsed !== undefined && "service" in parsed) services.add(parsed.service);
  }
  return services;
}
