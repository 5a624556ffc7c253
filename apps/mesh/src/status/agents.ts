/** What is wrong with agents, a line for each: one that is not connected is behind on everything and named once. */
import type { Finding } from "../output/findings.js";
import type { Hop, NodeHop } from "./hops.js";

export function isWell({ connected, inSync }: NodeHop): boolean {
  return connected && inSync;
}

export function badAgents(hops: readonly Hop[]): readonly Finding[] {
  const bad = new Map<string, { cluster: string; node: NodeHop; behind: string[] }>();
  for (const { from, to, nodes = [] } of hops)
    for (const node of nodes.filter((each) => !isWell(each))) {
      const key = JSON.stringify([to, node.node]);
      const known = bad.get(key) ?? { cluster: to, node, behind: [] };
      known.behind.push(from);
      bad.set(key, known);
    }
  return [...bad.values()].map(({ cluster, node, behind }) => ({
    group: "agents",
    status: "fail",
    subject: `${cluster} ${node.node}`,
    message: node.connected ? `its agent is not in sync with ${behind.join(", ")}` : "its agent is not connected",
    fix: "see the node-agent's log on that node",
  }));
}
