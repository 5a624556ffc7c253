/**
 * On how many nodes a Service is applied as it is merged here: what the agents acknowledged, compared with what changed since.
 *
 * In: the sources, each node's agent, and the position up to which its kernel holds each source. A node counts for a Service when
 * no record of the Service changed after that; one whose agent is not connected counts for none. Work is in proportion to what
 * the nodes lag behind.
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
  const changedAfter = createChangedAfter();
  const lacking = agents.map(({ node, connected }): readonly Lacking[] =>
    connected ? sources.map((source) => changedAfter(source, applied(node, source.clusterId))) : ["all"],
  );
  return {
    nodes: agents.length,
    on: (service) => lacking.filter((each) => each.every((one) => one !== "all" && !one.has(service))).length,
  };
}

const NONE: Lacking = new Set();

/** Most nodes are at the same position: each is looked up once. */
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
