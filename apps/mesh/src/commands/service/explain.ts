import { type Command, KUBECONFIG, timeoutOption } from "../../cli/command.js";

export const serviceExplain: Command = {
  path: ["service", "explain"],
  args: "NS/SERVICE[:PORT]",
  summary: "show whether new connections of a pod reach each backend of a Service, in every cluster, or why not",
  detail: [
    "Without --from it is what the cluster's records say. With --from it is also what the maps of the pod's node hold now, from its agent,",
    "and whether that agrees with the records: tiers differ by cluster, and maps by node.",
    "USE says yes when new connections may go to the backend now. TIER and SLOTS are its place by the records: of the slots of a tier",
    "programs take one at random. MAPS is what the node has: the tier, the number of slots, the row of mesh_backends (INDEX#GENERATION)",
    "and the rank, by which a backend, its node and its cluster are avoided. WHY NOT says what keeps new connections from the backend;",
    "the reasons are in docs/reference/states.md. Established connections stay where they are.",
    "A tier is used when no earlier one has a backend that is up. A connect that its backend does not answer is moved to another one of",
    "the same tiers. Policies are not judged: the last line has the command for that.",
    "Exit code 0 when each frontend has a backend that can be used, and the maps could be read if --from asks for them; otherwise 1.",
  ].join("\n"),
  options: [
    {
      name: "from",
      value: "POD",
      summary: "as this pod's node sees it: NAMESPACE/POD, or CONTEXT/NAMESPACE/POD for another cluster than --context",
    },
    {
      name: "context",
      value: "NAME",
      summary: "cluster to ask; otherwise that of --from, otherwise the current context",
    },
    { name: "output", short: "o", value: "FORMAT", summary: "table (default) or json" },
    timeoutOption("how long it may take; 15s"),
    KUBECONFIG,
  ],
  timeout: () => "15s",
  examples: [
    {
      says: "Why does this pod not reach the backends of another cluster?",
      command: "mesh service explain shop/web --from east/shop/cart-7d9f",
    },
    {
      says: "One port, as the cluster's records have it, for a script",
      command: "mesh service explain shop/web:http -o json",
    },
  ],
  load: () => import("./run-explain.js"),
  run: async (input, io) => (await import("./run-explain.js")).run(input, io),
};
