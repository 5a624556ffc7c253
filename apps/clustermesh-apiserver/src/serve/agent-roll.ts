/**
 * Every Linux node of this cluster with its agent, be it that the agent was never heard of (pure).
 *
 * In: what the agents said, and the Nodes. Out: what a status says of both. An agent that is gone with its Node is not missed;
 * one that is connected is reported, whatever its Node says.
 */
import { AgentPresence, AgentReport, type NodeCounts } from "@isthmus/proto";
import type { KnownNode } from "../cluster/own-nodes.js";

/**
 * How long an agent has to come after this server started, or after its Node appeared, before its absence is a failure. An agent
 * notices within 13 s that its server is gone without a word, tries the next one within 3 s, waits 2 s at most between rounds,
 * and may be sent away for 2 s while many begin at once: 30 s is that with as much again.
 */
export const AWAITED_MS = 30_000;

export interface AgentRoll {
  readonly agents: AgentReport[];
  readonly nodes: NodeCounts;
}

export function agentRoll(
  heard: readonly AgentReport[],
  nodes: ReadonlyMap<string, KnownNode> | undefined,
  now: number,
): AgentRoll {
  if (nodes === undefined) return { agents: [...heard], nodes: { known: false, linux: 0, windows: 0, virtual: 0 } };
  const count = (platform: KnownNode["platform"]) =>
    [...nodes.values()].filter((node) => node.platform === platform).length;
  const agents = heard.filter(({ node, connected }) => connected || nodes.get(node)?.platform === "linux");
  const known = new Set(agents.map(({ node }) => node));
  for (const [node, { platform, knownSince }] of nodes) {
    if (platform === "linux" && !known.has(node)) agents.push(unheard(node, now - knownSince));
  }
  return {
    agents: agents.sort((a, b) => (a.node < b.node ? -1 : 1)),
    nodes: { known: true, linux: count("linux"), windows: count("windows"), virtual: count("virtual") },
  };
}

function unheard(node: string, silentMs: number): AgentReport {
  const presence =
    silentMs < AWAITED_MS ? AgentPresence.AGENT_PRESENCE_AWAITED : AgentPresence.AGENT_PRESENCE_NEVER_SEEN;
  return AgentReport.fromPartial({ node, presence, silentMs: Math.round(silentMs) });
}
