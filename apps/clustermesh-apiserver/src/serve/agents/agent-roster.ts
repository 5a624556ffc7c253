/**
 * Which node has an open stream, and who may open one (pure): one stream per node, the newest.
 *
 *                  not draining, and a place is free or the node has one
 *   Hello of a node ──────────────────────────────────────────────────► Open ──── closed, failed ───► none
 *          │                                                             │
 *          │ draining, or too many agents                                │ a newer Hello of the node, drain
 *          ▼                                                             ▼
 *        refused                                                       left, and forgotten when it closes
 */
export type Admission<Agent> =
  /** `replaced`: the node's stream until now, which must be closed. */
  { readonly replaced: Agent | undefined } | { readonly refused: "too many agents" | "shutting down" };

export interface AgentRoster<Agent> {
  /** Decides about a new stream of the node; changes nothing. */
  admit(node: string): Admission<Agent>;
  /** The node's stream from now on. */
  add(node: string, agent: Agent): void;
  /** False when the agent is not the node's stream (any more): nothing changes. */
  remove(node: string, agent: Agent): boolean;
  /** Admits nobody from now on. Returns the agents to send away; each stays until it is removed. */
  drain(): readonly Agent[];
  /** A copy: agents may be removed while it is read. */
  all(): readonly Agent[];
  /** Number of open streams. */
  readonly size: number;
}

/** `maxAgents`: most streams at once. */
export function createAgentRoster<Agent>(maxAgents: number): AgentRoster<Agent> {
  const open = new Map<string, Agent>();
  let draining = false;
  return {
    admit(node) {
      const replaced = open.get(node);
      if (draining) return { refused: "shutting down" };
      if (replaced === undefined && open.size >= maxAgents) return { refused: "too many agents" };
      return { replaced };
    },
    add: (node, agent) => void open.set(node, agent),
    remove(node, agent) {
      if (open.get(node) !== agent) return false;
      open.delete(node);
      return true;
    },
    drain() {
      draining = true;
      return [...open.values()];
    },
    all: () => [...open.values()],
    get size() {
      return open.size;
    },
  };
}
