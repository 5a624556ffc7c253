import { type Command, KUBECONFIG } from "../../cli/command.js";

export const monitor: Command = {
  path: ["monitor"],
  summary: "show the flows and drops of a cluster's pods as they happen",
  detail: [
    "A line is an event of one node: the first packet of a flow between pods of the mesh, its close, a packet that was dropped, or",
    "one that policy does not allow and that passed, because its pod is in audit mode (AUDIT).",
    "A flow between two nodes is an event of each. Ends are NAMESPACE/POD on the pod's own node, addresses elsewhere. Times are UTC.",
    "NEW and CLOSED name the end that began the flow first; UDP and ICMP have no close. A flow whose pod dialled a Service names that",
    "at the pod's own node, with the backend in brackets: Service NAMESPACE/NAME:PORT (BACKEND); while the agent does not know the",
    "name, the address that was dialled. PICKED-UP is a flow that is older than what the node knows of it; its Service is not known.",
    "A drop has a reason (docs/reference/drop-reasons.md), and AUDIT the one of the drop that it would be; the latest of both from before",
    "the start come first.",
    "Of a flow that policy was asked about, the rule that decided is named, and in square brackets the labels of an end that is",
    "no pod of the node. A denial names the labels of both ends, and the rule that denies, or the policies of which no rule allows the flow.",
    "What is not shown is counted on stderr, with the reason; so is which nodes are heard, at the start and at each change. Nodes whose",
    "agents run with --datapath-mode sockets have no events. Connects that the Service programs refuse are not events either.",
    "It runs until Ctrl-C (exit code 130), or ends after --for (exit code 0). With -o json each line is a document: event, nodes or",
    "notShown.",
  ].join("\n"),
  options: [
    { name: "context", value: "NAME", summary: "cluster to ask; otherwise the current context" },
    {
      name: "from",
      value: "POD",
      summary: "only flows that this pod began, and its drops: NAMESPACE/POD, or POD with -n",
    },
    {
      name: "service",
      value: "SERVICE",
      summary: "only flows whose pod dialled this Service: NAMESPACE/SERVICE, or SERVICE with -n",
    },
    { name: "namespace", short: "n", value: "NS", summary: "namespace of --from and --service" },
    { name: "node", value: "NODE", multiple: true, summary: "only events of this node; otherwise of all" },
    { name: "drops", summary: "only drops, and AUDIT" },
    { name: "for", value: "DURATION", summary: "end after this time; otherwise at Ctrl-C" },
    { name: "output", short: "o", value: "FORMAT", summary: "table (default) or json" },
    KUBECONFIG,
  ],
  examples: [
    { says: "What is dropped, and why?", command: "mesh monitor --drops" },
    { says: "Whom does one pod talk to?", command: "mesh monitor --from shop/cart-7d9f" },
    { says: "Who dials one Service, and which backend does each get?", command: "mesh monitor --service shop/web" },
    { says: "A minute of one node, for a script", command: "mesh monitor --node w1 --for 1m -o json" },
  ],
  load: () => import("./run-monitor.js"),
  run: async (input, io) => (await import("./run-monitor.js")).run(input, io),
};
