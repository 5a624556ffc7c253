/**
 * Counts on how many nodes a Service is applied as it is here, from the agents' acknowledged positions.
 *
 * In: the sources, each node's agent, and the position of each source up to which the node has applied it. A node counts for a
 * Service when no record of the Service changed after that position; a node whose agent is not connected counts for none.
 * What nodes lack is computed once per group of nodes at the same positions; a query for one Service is one lookup.
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

export interface AppliedRecordsModules {
  /** The local cluster and all peers. */
  readonly sources: readonly StreamSource[];
  /** Undefined: the cluster's nodes are not known. */
  readonly agents: readonly AgentNode[] | undefined;
  /** The position of the source that the node has applied; undefined: nothing of it. */
  readonly applied: (node: string, clusterId: number) => Position | undefined;
}

export interface AppliedRecords {
  /** Number of nodes of the cluster. */
  readonly nodes: number;
  /** Number of nodes that have applied the latest state of the Service with this name. */
  on(name: string): number;
}

/** What is counted, and by which name. */
export interface Counted {
  /** Every name has a record of it. */
  readonly kind: Kind;
  /** The name that the record with this key belongs to; undefined: it belongs to none. */
  readonly nameOf: (key: string) => string | undefined;
}

/** Names whose latest state a node does not have. */
export type Lacking = ReadonlySet<string> | "all";

/** By `namespace/name`. Undefined while the nodes are not known, and for a cluster without nodes. Counts as of this call. */
export function appliedServices(modules: AppliedRecordsModules): AppliedRecords | undefined {
  const { agents, sources, applied } = modules;
  if (agents === undefined || agents.length === 0) return undefined;
  const connected = agents.filter((agent) => agent.connected);
  const changedAfter = createChangedAfter({ kind: Kind.KIND_SERVICE, nameOf: serviceOf });
  let lackingAll = agents.length - connected.length;
  /** Number of nodes that lack a name, without the nodes that lack all of them. */
  const lacking = new Map<string, number>();
  for (const { positions, nodes } of byPositions(sources, connected, applied)) {
    const names = union(sources.map((source, i) => changedAfter(source, positions[i])));
    if (names === "all") lackingAll += nodes;
    else for (const name of names) lacking.set(name, (lacking.get(name) ?? 0) + nodes);
  }
  return {
    nodes: agents.length,
    on: (name) => agents.length - lackingAll - (lacking.get(name) ?? 0),
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
  applied: AppliedRecordsModules["applied"],
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
  const names = new Set<string>();
  for (const part of parts) {
    if (part === "all") return "all";
    for (const name of part) names.add(name);
  }
  return names;
}

const NONE: Lacking = new Set();

/** Looks up the changes after a position once, since groups may share the position of a source. */
export function createChangedAfter(counted: Counted): (source: StreamSource, applied: Position | undefined) => Lacking {
  const known = new Map<SourceIndex, Map<string, Lacking>>();
  return ({ index }, applied) => {
    const ofIndex = known.get(index) ?? new Map<string, Lacking>();
    known.set(index, ofIndex);
    const at = positionText(applied);
    const names = ofIndex.get(at) ?? namesAfter(counted, index, applied);
    ofIndex.set(at, names);
    return names;
  };
}

function namesAfter(counted: Counted, index: SourceIndex, applied: Position | undefined): Lacking {
  if (index.announced === undefined) return NONE;
  // The node has nothing of this source, so it lacks all of it.
  if (applied === undefined) return namesOf(counted, index.records(counted.kind));
  const since = index.since(applied);
  return typeof since === "string" ? "all" : namesOf(counted, [...since.upserts, ...since.deletes]);
}

function namesOf({ nameOf }: Counted, records: Iterable<{ readonly key: string }>): Lacking {
  const names = new Set<string>();
  for (const { key } of records) {
    const name = nameOf(key);
    if (name !== undefined) names.add(name);
  }
  return names;
}

function serviceOf(key: string): string | undefined {
  const parsed = parseKey(key);
  return parsed !== undefined && "service" in parsed ? parsed.service : undefined;
}
