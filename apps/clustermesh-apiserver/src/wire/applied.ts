/** On how many nodes Services and policies are applied, from what the agents of this server acknowledge. */
import type { Clock } from "@isthmus/model";
import type { KnownNode } from "../cluster/nodes/node-feed.js";
import type { SourceSet } from "../ports/source-set.js";
import { type AppliedRecords, appliedPolicies, appliedServices } from "../serve/admin/applied-records.js";
import type { AgentRegistry } from "../serve/agents/agent-registry.js";
import { listAgents } from "../serve/agents/agent-roll.js";

/** Each counts anew; undefined until Nodes have been read. */
export interface Applied {
  /** By `namespace/name`. */
  services(): AppliedRecords | undefined;
  /** Those of one node alone; undefined for one that is not known. */
  servicesOn(node: string): AppliedRecords | undefined;
  /** By the key of the record; a node whose agent enforces no policies counts for none. */
  policies(): AppliedRecords | undefined;
}

export interface AppliedModules {
  /** The local cluster and all peers. */
  readonly sources: SourceSet;
  /** Their acknowledged positions. */
  readonly agents: AgentRegistry;
  /** Undefined until Nodes have been read. */
  readonly nodes: () => ReadonlyMap<string, KnownNode> | undefined;
  /** For the age of what is known of a node. */
  readonly clock: Pick<Clock, "now">;
}

/** Keeps nothing. */
export function createApplied({ sources, agents, nodes, clock }: AppliedModules): Applied {
  const roll = () => {
    const { agents: all, nodes: counts } = listAgents(agents.reports(), nodes(), clock.now());
    return counts.known ? all : undefined;
  };
  return {
    servicesOn(node) {
      const one = roll()?.filter((each) => each.node === node);
      return appliedServices({ sources: sources.all, agents: one, applied: agents.applied });
    },
    services: () => appliedServices({ sources: sources.all, agents: roll(), applied: agents.applied }),
    policies: () =>
      appliedPolicies({
        sources: sources.all.filter(({ clusterId }) => clusterId === 0),
        agents: roll()?.map(({ node, connected }) => ({ node, connected: connected && agents.enforcesPolicies(node) })),
        applied: agents.applied,
      }),
  };
}
