/**
 * Which nodes are heard, over all servers of a cluster (pure): an agent is connected to one of them, so a node is heard when
 * any server hears it.
 */
import { lineText } from "@isthmus/model";
import { type MonitoredNode, MonitorState } from "@isthmus/proto";
import { counted } from "../output/units.js";

export interface NodeState {
  /** The best that any server reports. */
  readonly state: MonitorState;
  /** Why it is not heard. */
  readonly message: string;
}

export interface HeardNodes {
  /** What a server says of its nodes; it replaces what it said before. */
  report(server: string, nodes: readonly MonitoredNode[]): void;
  /** The server is lost: nodes are heard through it no more. */
  lost(server: string): void;
  /** By name, sorted. */
  states(): ReadonlyMap<string, NodeState>;
  /** Sentences about what changed since the last call; at the first one about all nodes. */
  changes(): readonly string[];
}

/** The first of these that a server reports is what holds. */
const ORDER: readonly MonitorState[] = [
  MonitorState.MONITOR_STATE_HEARD,
  MonitorState.MONITOR_STATE_UNAVAILABLE,
  MonitorState.MONITOR_STATE_NO_QUERIES,
  MonitorState.MONITOR_STATE_NOT_CONNECTED,
];

const isHeard = ({ state }: NodeState): boolean => state === MonitorState.MONITOR_STATE_HEARD;

/** Without servers. */
export function createHeardNodes(): HeardNodes {
  const servers = new Map<string, readonly MonitoredNode[]>();
  let before: ReadonlyMap<string, NodeState> | undefined;

  function states(): ReadonlyMap<string, NodeState> {
    const rank = ({ state }: NodeState) => (ORDER.includes(state) ? ORDER.indexOf(state) : ORDER.length);
    const best = new Map<string, NodeState>();
    for (const node of [...servers.values()].flat()) {
      const other = best.get(node.node);
      if (other === undefined || rank(node) < rank(other)) best.set(node.node, node);
    }
    return new Map([...best].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  return {
    report: (server, nodes) => void servers.set(server, nodes),
    lost: (server) => void servers.delete(server),
    states,
    changes() {
      const now = states();
      const last = before;
      before = now;
      if (last === undefined) return summary(now);
      const names = [...new Set([...last.keys(), ...now.keys()])].sort();
      return names.flatMap((name) => change(name, last.get(name), now.get(name)));
    },
  };
}

function summary(nodes: ReadonlyMap<string, NodeState>): readonly string[] {
  const heard = [...nodes].filter(([, node]) => isHeard(node)).map(([name]) => lineText(name));
  const others = [...nodes].filter(([, node]) => !isHeard(node));
  const first =
    heard.length === 0
      ? "No node is heard yet"
      : `Hearing ${counted(heard.length, "node")} of ${nodes.size}: ${heard.join(", ")}`;
  return [first, ...others.map(([name, node]) => `Not heard: ${lineText(name)}: ${why(node)}`)];
}

function change(name: string, last: NodeState | undefined, now: NodeState | undefined): readonly string[] {
  const [was, is] = [last !== undefined && isHeard(last), now !== undefined && isHeard(now)];
  if (is) return was ? [] : [`Hearing ${lineText(name)} from now on`];
  if (was) return [`Not heard any more: ${lineText(name)}: ${why(now)}`];
  return now === undefined || (last?.state === now.state && last.message === now.message)
    ? []
    : [`Not heard: ${lineText(name)}: ${why(now)}`];
}

function why(node: NodeState | undefined): string {
  if (node === undefined) return "no server knows it now";
  switch (node.state) {
    case MonitorState.MONITOR_STATE_NOT_CONNECTED:
      return "its agent is not connected; see mesh status";
    case MonitorState.MONITOR_STATE_NO_QUERIES:
      return "its agent has no stream for queries: it is of an older version, or connects just now";
    case MonitorState.MONITOR_STATE_UNAVAILABLE:
      return lineText(node.message);
    case MonitorState.MONITOR_STATE_UNKNOWN:
      return "there is no such Linux node in this cluster";
    default:
      return `state ${node.state}, which this version does not know`;
  }
}
