/**
 * The figures of all nodes for one status: every agent with a stream for queries is asked at once, and those that do not
 * answer in time are left out. Callers that ask meanwhile get the same answers.
 */
import { type Clock, printable } from "@isthmus/model";
import type { AgentReport, NodeFigures } from "@isthmus/proto";
import { sleep } from "@isthmus/runtime";
import type { AgentQueries, RunningQuery } from "../agents/agent-queries.js";

export interface NodeFiguresModules {
  /** The agents' streams for queries. */
  readonly queries: AgentQueries;
  /** Times the wait. */
  readonly clock: Clock;
}

export interface NodeFiguresReader {
  /** The reports with the figures of their nodes, or why there are none. */
  addTo(agents: readonly AgentReport[]): Promise<AgentReport[]>;
}

type Answer = Pick<AgentReport, "figures" | "figuresProblem">;

/** Less than the CLI waits for a server. */
const WAIT_MS = 2000;
const NO_STREAM = "its agent answers no queries of this server: it is of an older version";
const NOT_CONNECTED = "its agent is not connected to this server";

/** Asks nothing yet. */
export function createNodeFiguresReader({ queries, clock }: NodeFiguresModules): NodeFiguresReader {
  let running: Promise<ReadonlyMap<string, Answer>> | undefined;

  /** Resolves when all have answered, or time is up. */
  async function askAll(nodes: readonly string[]): Promise<ReadonlyMap<string, Answer>> {
    const answers = new Map<string, Answer>();
    const open = new Map<string, RunningQuery>();
    const done = new AbortController();
    const end = (node: string) => {
      open.delete(node);
      if (open.size === 0) done.abort();
    };
    for (const node of nodes) {
      const query = queries.start(node, { $case: "figures", value: {} }, 1, {
        part(part) {
          if (part.$case === "figures") answers.set(node, { figures: cleaned(part.value), figuresProblem: "" });
        },
        end(problem = "its agent's stream ended") {
          if (!answers.has(node)) answers.set(node, failed(problem || "its agent does not answer what was asked"));
          end(node);
        },
      });
      if (query !== undefined) open.set(node, query);
    }
    if (open.size > 0) await sleep(clock, WAIT_MS, done.signal);
    for (const [node, query] of open) {
      query.cancel();
      if (!answers.has(node)) answers.set(node, failed(`its agent did not answer within ${WAIT_MS / 1000} s`));
    }
    return answers;
  }

  return {
    async addTo(agents) {
      running ??= askAll(agents.map(({ node }) => node)).finally(() => {
        running = undefined;
      });
      const answers = await running;
      return agents.map((agent) => {
        const none = failed(agent.connected ? NO_STREAM : NOT_CONNECTED);
        return { ...agent, ...(answers.get(agent.node) ?? none) };
      });
    },
  };
}

function failed(problem: string): Answer {
  return { figures: undefined, figuresProblem: printable(problem, 512) };
}

/** As it may be shown: names printable. Their numbers are bounded by message-bounds.ts. */
function cleaned({ datapathMode, maps, counters }: NodeFigures): NodeFigures {
  return {
    datapathMode: printable(datapathMode, 16),
    maps: maps.map(({ map, ...fill }) => ({ map: printable(map, 64), ...fill })),
    counters: counters.map(({ name, ...counts }) => ({ name: printable(name, 64), ...counts })),
  };
}
