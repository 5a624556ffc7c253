/**
 * Lists every Linux node of this cluster with its agent, including nodes whose agent never connected (pure).
 *
 * In: the reports of agents, and the Nodes. Out: agents and node counts for a status. A disconnected agent without a Node is
 * left out; a connected one is always reported.
 */
import { AgentPresence, AgentReport, type NodeCounts } from "@isthmus/proto";
import type { KnownNode } from "../../cluster/nodes/node-feed.js";

/**
 * How long an agent may take to connect after this server started, or after its Node appeared, before its absence is a
 * failure. An agent notices within 13 s that its server is unreachable, tries the next one within 3 s, waits at most 2 s
 * between rounds, and may be sent away for 2 s while many agents start. 30 s is half as much again.
 */
export const AWAITED_MS = 30_000;

export interface AgentRoll {
  /** Sorted by node. */
  readonly agents: AgentReport[];
  /** By platform; `known` is false, and all counts are 0, until Nodes have been read. */
  readonly nodes: NodeCounts;
}

/** `nodes` undefined: not read yet, so every report is listed. `now`: monotonic ms, as in `knownSince`. */
export function listAgents(
  reports: readonly AgentReport[],
  nodes: ReadonlyMap<string, KnownNode> | undefined,
  now: number,
): AgentRoll {
  if (nodes === undefined) return { agents: [...reports], nodes: { known: false, linux: 0, windows: 0, virtual: 0 } };
  const count = (platform: KnownNode["platform"]) =>
    [...nodes.values()].filter((node) => node.platform === platform).length;
  const agents = reports.filter(({ node, connected }) => connected || nodes.get(node)?.platform === "linux");
  const known = new Set(agents.map(({ node }) => node));
  for (const [node, { platform, knownSince }] of nodes) {
    if (platform === "linux" && !known.has(node)) agents.push(neverConnected(node, now - knownSince));
  }
  return {
    agents: agents.sort((a, b) => (a.node < b.node ? -1 : 1)),
    nodes: { known: true, linux: count("linux"), windows: count("windows"), virtual: count("virtual") },
  };
}

function neverConnected(node: string, silentMs: number): AgentReport {
  const presence =
    silentMs < AWAITED_MS ? AgentPresence.AGENT_PRESENCE_AWAITED : AgentPresence.AGENT_PRESENCE_NEVER_SEEN;
  return AgentReport.fromPartial({ node, presence, silentMs: Math.round(silentMs) });
}
