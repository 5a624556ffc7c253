/**
 * Queries to agents: which nodes have a stream for them, and the queries that run.
 *
 * ```
 *   agent ─ Serve ─► open (the node's newest stream) ─► start(node, query) ─► parts … ─► end, cancel, or the stream is over
 * ```
 * An agent sends a part only against credit. What it sends without is against the contract, and ends its stream; so what
 * a node can make this process keep is bounded by the credit that was given.
 */
import type { Query, QueryAnswer, QueryMessage } from "@isthmus/proto";

/** What is done with the answer to a query. */
export interface QueryListener {
  /** A part of the answer. Each uses up one of the query's credit: `credit` of the running query gives more. */
  part(part: NonNullable<QueryAnswer["part"]>): void;
  /** The answer is whole: "", or there is none, and this says why. Undefined: the agent's stream is over. */
  end(problem: string | undefined): void;
}

export interface RunningQuery {
  /** Lets the agent send so many parts more. */
  credit(parts: number): void;
  /** Ends it; the listener is not called any more. */
  cancel(): void;
}

/** A node's stream, as its server sees it. */
export interface QueryAgent {
  /** Takes an answer. Returns what is wrong with it; the stream must then be ended. */
  answer(answer: QueryAnswer): string | undefined;
  /** The stream is over. */
  closed(): void;
}

/** How a node's stream is written. */
export interface QueryAgentStream {
  /** Queues the message, in order. */
  write(message: QueryMessage): void;
  /** Ends the stream: the node has a newer one. */
  end(): void;
}

export interface AgentQueries {
  /** The node's stream from now on; one that it had is ended. */
  open(node: string, stream: QueryAgentStream): QueryAgent;
  /** Undefined: the node has no stream. `credit`: parts that may come before more is given. */
  start(node: string, query: Query["query"], credit: number, listener: QueryListener): RunningQuery | undefined;
  /** Does the node have a stream? */
  has(node: string): boolean;
  /** Calls the listener when a node has another stream, or none any more; returns what ends that. */
  onChange(listener: (node: string) => void): () => void;
  /** Number of nodes with a stream. */
  readonly size: number;
}

interface OpenQuery {
  credit: number;
  readonly listener: QueryListener;
}

interface OpenAgent {
  readonly stream: QueryAgentStream;
  readonly queries: Map<number, OpenQuery>;
  /** Ids are of one stream: an answer to a query of the one before is to none. */
  nextId: number;
}

/** Without streams. */
export function createAgentQueries(): AgentQueries {
  const agents = new Map<string, OpenAgent>();
  const listeners = new Set<(node: string) => void>();
  const changed = (node: string) => {
    for (const listener of listeners) listener(node);
  };

  function endAll(agent: OpenAgent): void {
    const queries = [...agent.queries.values()];
    agent.queries.clear();
    for (const { listener } of queries) listener.end(undefined);
  }

  function take(agent: OpenAgent, { id, last, problem, part }: QueryAnswer): string | undefined {
    const query = agent.queries.get(id);
    // Parts that were on the way when their query was cancelled.
    if (query === undefined) return id < agent.nextId ? undefined : `an answer to query ${id}, which was not asked`;
    if (part !== undefined) {
      if (query.credit === 0) return "more parts of an answer than there is credit for";
      query.credit--;
      query.listener.part(part);
    }
    if (last && agent.queries.delete(id)) query.listener.end(problem);
    return undefined;
  }

  return {
    open(node, stream) {
      const before = agents.get(node);
      const agent: OpenAgent = { stream, queries: new Map(), nextId: 1 };
      agents.set(node, agent);
      if (before !== undefined) {
        endAll(before);
        before.stream.end();
      }
      changed(node);
      return {
        answer: (answer) => take(agent, answer),
        closed() {
          const isCurrent = agents.get(node) === agent && agents.delete(node);
          endAll(agent);
          if (isCurrent) changed(node);
        },
      };
    },
    start(node, query, credit, listener) {
      const agent = agents.get(node);
      if (agent === undefined) return undefined;
      const id = agent.nextId++;
      agent.queries.set(id, { credit, listener });
      agent.stream.write({ id, message: { $case: "query", value: { credit, query } } });
      return {
        credit(parts) {
          const open = agent.queries.get(id);
          if (open === undefined) return;
          open.credit += parts;
          agent.stream.write({ id, message: { $case: "credit", value: parts } });
        },
        cancel() {
          if (agent.queries.delete(id)) agent.stream.write({ id, message: { $case: "cancel", value: {} } });
        },
      };
    },
    has: (node) => agents.has(node),
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    get size() {
      return agents.size;
    },
  };
}
