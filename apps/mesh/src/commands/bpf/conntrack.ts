import { DUMP_OPTIONS } from "../../bpf/options.js";
import type { Command } from "../../cli/command.js";

export const bpfConntrack: Command = {
  path: ["bpf", "conntrack"],
  summary: "show the flows between pods of the mesh that a node knows, the latest first",
  detail: [
    "SOURCE is the end that sent the first packet that the node saw. VIP and VIP-PORT are what it dialled, if it is a pod of the node",
    "that dialled a Service; SERVICE is the one that has them now. STATE is unanswered (one end was heard, or no more than SYNs),",
    "established, or closing (RST, or FIN of both). AGE-S are the seconds since the last packet; a closed flow keeps its row until",
    "another one needs it. FLAGS are of the packets from the source, ANSWER-FLAGS of the others: via_stack (through the node's",
    "network stack), picked_up (the flow is older than its row), service (a Service was dialled, and it is not known any more which).",
    "Of an ICMP echo the ports are its id. Pods are named on their own node.",
    "Rows that are written just now, whose check does not fit, or whose flow ended by silence are left out and counted on stderr. Nodes",
    "whose agents run with --datapath-mode sockets have no flows. With -o json each line is a document: row, and summary as the last.",
  ].join("\n"),
  options: [
    ...DUMP_OPTIONS,
    {
      name: "from",
      value: "ADDRESS|POD",
      summary: "only flows that this address or pod began: an address, NAMESPACE/POD, or POD with -n",
    },
    { name: "namespace", short: "n", value: "NS", summary: "namespace of the pod of --from" },
  ],
  timeout: () => "60s",
  examples: [
    { says: "What talks to whom, right now?", command: "mesh bpf conntrack --node w1 --limit 50" },
    { says: "The flows of one pod", command: "mesh bpf conntrack --node w1 --from shop/cart-7d9f" },
  ],
  load: () => import("./run-conntrack.js"),
  run: async (input, io) => (await import("./run-conntrack.js")).run(input, io),
};
