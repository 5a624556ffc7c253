/** What the figures of nodes mean in words: flows evicted or without an entry, events lost, and nodes that report none. */
import type { Finding } from "../output/findings.js";
import { counted, shellWord } from "../output/units.js";
import type { ClusterView } from "./collect.js";
import { figuresOf, lastMinute, type NodeFigures } from "./figures.js";

/** One for each trouble of a cluster, about the node that has it worst; warnings, and unknown for nodes without figures. */
export function figureFindings(view: ClusterView): readonly Finding[] {
  const nodes = figuresOf([view]);
  const moreFlows = ({ node, figures }: NodeFigures) => {
    const see = `see who opens them: mesh bpf conntrack --context ${shellWord(view.context)} --node ${shellWord(node)}`;
    const flows = figures?.flows;
    return flows ? `${see}; more room: --map-sizes flows=${2 * flows.capacity} of its node-agent` : see;
  };
  return [
    ...trouble(nodes, { ...FULL, fix: moreFlows }),
    ...trouble(nodes, { ...EVICTED, fix: moreFlows }),
    ...trouble(nodes, { ...LOST, fix: () => MORE_EVENTS }),
    ...unreported(view, nodes),
  ];
}

const MORE_EVENTS = "more room: a larger --map-sizes events= of its node-agent, whose --help has the default";

interface Trouble {
  readonly counter: string;
  /** What is counted, and what became of it. */
  readonly noun: string;
  readonly what: string;
  readonly why: string;
  readonly fix: (worst: NodeFigures) => string;
}

const FULL = {
  ...{ counter: "flow_full", noun: "flow", what: "without an entry" },
  why: "their places in the table were full, and their packets go through the node's stack",
};
const EVICTED = {
  ...{ counter: "flow_evicted", noun: "flow", what: "evicted while in use" },
  why: "there were more flows than their table has room for",
};
const LOST = {
  ...{ counter: "event_lost", noun: "event", what: "not written" },
  why: "the ring buffer was full",
};

/** The counter grew in the last minute. */
function trouble(nodes: readonly NodeFigures[], { counter, noun, what, why, fix }: Trouble): Finding[] {
  const grown = (node: NodeFigures) => lastMinute(node.figures, counter);
  const troubled = nodes.filter((node) => grown(node) > 0n).sort((a, b) => Number(grown(b) - grown(a)));
  const [worst] = troubled;
  if (worst === undefined) return [];
  const others = troubled.length === 1 ? "" : `, and on ${counted(troubled.length - 1, "other node")}`;
  const message = `${counted(grown(worst), noun)} ${what} in the last minute${others}: ${why}`;
  const subject = `${worst.cluster} ${worst.node}`;
  return [{ group: `${noun}s`, status: "warning", subject, message, fix: fix(worst) }];
}

/** Each reason once. An agent that is not connected has a finding already. */
function unreported({ cluster, report }: ClusterView, nodes: readonly NodeFigures[]): Finding[] {
  const connected = new Set((report?.agents ?? []).flatMap((agent) => (agent.connected ? [agent.node] : [])));
  const reasons = new Map<string, string[]>();
  for (const { node, problem } of nodes)
    if (problem !== undefined && connected.has(node)) reasons.set(problem, [...(reasons.get(problem) ?? []), node]);
  return [...reasons].map(([problem, [first = "", ...more]]) => ({
    group: "figures",
    status: "unknown",
    subject: `${cluster} ${first}${more.length > 0 ? ` and ${more.length} more` : ""}`,
    message: `figures not reported: ${problem}`,
  }));
}
