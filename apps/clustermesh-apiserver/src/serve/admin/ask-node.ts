/** Asks the agent of one node, and waits for the one part of its answer. */
import { type Clock, printable } from "@isthmus/model";
import { MonitoredNode, MonitorState, type Query, type QueryAnswer } from "@isthmus/proto";
import { sleep } from "@isthmus/runtime";
import type { MonitorModules } from "./monitor.js";

export interface AskNodeModules extends Pick<MonitorModules, "queries" | "nodes"> {
  /** Times the wait. */
  readonly clock: Clock;
}

type Part = NonNullable<QueryAnswer["part"]>;

export interface NodeAnswer<Case extends Part["$case"]> {
  /** HEARD: the part came. Otherwise why not. */
  readonly node: MonitoredNode;
  /** Not checked beyond its bounds: texts may be unprintable. */
  readonly part?: Extract<Part, { $case: Case }>;
}

/** Less than the CLI waits for a server. */
const WAIT_MS = 2000;

/** `wanted`: the part that answers the query. Never rejects. */
export async function askNode<Case extends Part["$case"]>(
  node: string,
  query: NonNullable<Query["query"]>,
  wanted: Case,
  { queries, nodes, clock }: AskNodeModules,
): Promise<NodeAnswer<Case>> {
  const answer = (state: MonitorState, message = ""): NodeAnswer<Case> => ({
    node: MonitoredNode.fromPartial({ node, state, message: printable(message, 512) }),
  });
  const unavailable = (why: string) => answer(MonitorState.MONITOR_STATE_UNAVAILABLE, why);
  const done = new AbortController();
  let result: NodeAnswer<Case> | undefined;
  const running = queries.start(node, query, 1, {
    part(part) {
      if (isCase(part, wanted)) result ??= { ...answer(MonitorState.MONITOR_STATE_HEARD), part };
    },
    end(problem) {
      result ??=
        problem === undefined
          ? answer(MonitorState.MONITOR_STATE_NOT_CONNECTED, "its agent's stream ended")
          : unavailable(problem || "its agent does not answer what was asked");
      done.abort();
    },
  });
  if (running === undefined) {
    const known = nodes().find((each) => each.node === node);
    if (known === undefined) return answer(MonitorState.MONITOR_STATE_UNKNOWN);
    return answer(known.connected ? MonitorState.MONITOR_STATE_NO_QUERIES : MonitorState.MONITOR_STATE_NOT_CONNECTED);
  }
  await sleep(clock, WAIT_MS, done.signal);
  running.cancel();
  return result ?? unavailable(`its agent did not answer within ${WAIT_MS / 1000} s`);
}

function isCase<Case extends Part["$case"]>(part: Part, wanted: Case): part is Extract<Part, { $case: Case }> {
  return part.$case === wanted;
}
