/** Makes one finding for each agent with a problem: an agent that is not connected lags in every hop but is reported once. */
import type { Finding } from "../output/findings.js";
import type { Hop, NodeHop } from "./hops.js";

/** All with status "fail"; the message names the clusters that it is behind with. */
export function badAgents(hops: readonly Hop[]): readonly Finding[] {
  const bad = new Map<string, { cluster: string; node: NodeHop; behind: string[] }>();
  for (const { from, to, nodes = [] } of hops)
    for (const node of nodes.filter(({ problem }) => problem !== undefined)) {
      const key = JSON.stringify([to, node.node]);
      const known = bad.get(key) ?? { cluster: to, node, behind: [] };
      known.behind.push(from);
      bad.set(key, known);
    }
  return [...bad.values()].map(({ cluster, node: { node, connected, problem }, behind }) => ({
    group: "agents",
    status: "fail",
    subject: `${cluster} ${node}`,
    message: connected ? `${problem} with ${behind.join(", ")}` : `${problem}`,
    fix: "see the node-agent's log on that node",
  }));
}
