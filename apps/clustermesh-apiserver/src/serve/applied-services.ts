/**
 * On how many nodes a Service is applied as it is merged here: what the agents acknowledged, compared with what changed since.
 *
 * In: the sources, each node's agent, and the position up to which its kernel holds each source. A node counts for a Service when
 * no record of the Service changed after that; one whose agent is not connected counts for none. What the nodes lack is counted
 * once, for nodes at the same positions together; a question about a Service is one lookup.
 */
import { Kind, type Position } from "@isthmus/proto";
import { parseKey, type SourceIndex } from "@isthmus/records";
import { positionText } from "./source-encoder.js";
import type { StreamSource } from "./stream-source.js";

export interface AgentNode {
  readonly node: string;
  readonly connected: boolean;
}

export interface AppliedServicesModules {
  readonly sources: readonly StreamSource[];
  /** Undefined: which nodes there are is not known. */
  readonly agents: readonly AgentNode[] | undefined;
  readonly applied: (node: string, clusterId: number) => Position | undefined;
}

export interface AppliedServices {
  /** Nodes that there are. */
  readonly nodes: number;
  /** Nodes that hold the Service as it is. */
  on(service: string): number;
}

/** Services whose latest state a node does not have. */
type Lacking = ReadonlySet<string> | "all";

export function appliedServices(modules: AppliedServicesModules): AppliedServices | undefined {
  const { agents, sources, applied } = modules;
  if (agents === undefined || agents.length === 0) return undefined;
  const connected = agents.filter((agent) => agent.connected);
  const changedAfter = createChangedAfter();
  let lackingAll = agents.length - connected.length;
  /** Nodes that lack the Service and not all of them. */
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

/** Groups may share the position of a source: what changed after it is looked up once. */
function createChangedAfter(): (source: StreamSource, applied: Position | undefined) => Lacking {
  const known = new Map<SourceIndex, Map<string, Lacking>>();
  return ({ index }, applied) => {
    const ofIndex = known.get(index) ?? new Map<string, Lacking>();
    known.set(index, ofIndex);
    const at = positionText(applied);
    const found = ofIndex.get(at) ?? servicesAfter(index, applied);
    ofIndex.set(at, found);
    return found;
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
