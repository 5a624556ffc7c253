/** On how many nodes Services and policies are applied, from what the agents of this server acknowledge. */
import type { Clock } from "@isthmus/model";
import type { KnownNode } from "../cluster/nodes/node-feed.js";
import type { EnforcedPolicies } from "../ports/enforced-policies.js";
import type { SourceSet } from "../ports/source-set.js";
import { type AppliedRecords, appliedServices } from "../serve/admin/applied-records.js";
import { enforcedPolicies } from "../serve/admin/enforced-policies.js";
import type { AgentRegistry } from "../serve/agents/agent-registry.js";
import { listAgents } from "../serve/agents/agent-roll.js";

/** Each counts anew; undefined until Nodes have been read. */
export interface Applied {
  /** By `namespace/name`. */
  services(): AppliedRecords | undefined;
  /** Those of one node alone; undefined for one that is not known. */
  servicesOn(node: string): AppliedRecords | undefined;
  policies(): EnforcedPolicies | undefined;
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
    policies() {
      const local = sources.all.find(({ clusterId }) => clusterId === 0);
      const nodes = roll()?.map(({ node, connected }) => ({
        node,
        enforces: connected && agents.enforcesPolicies(node),
        reported: agents.reportedPolicies(node),
      }));
      return local && enforcedPolicies(local, nodes);
    },
  };
}
