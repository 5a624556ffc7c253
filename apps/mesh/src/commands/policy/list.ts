import { type Command, KUBECONFIG, timeoutOption } from "../../cli/command.js";

export const policyList: Command = {
  path: ["policy", "list"],
  summary: "show each policy of a cluster: whether it is accepted, and on how many nodes it is enforced",
  detail: [
    "A policy is enforced whole or not at all. ACCEPTED says yes when the policy is in force as it is written. Otherwise it names the",
    "generation that is in force instead, the last one that was accepted, and FINDING says what keeps the present one out.",
    "ENFORCED counts the nodes whose agents say that the generation in force is enforced. FINDING names nodes that refuse it, with the",
    "reason, or whose agents do not say what they enforce; the others have not applied it yet, are not connected, or enforce no policies.",
    "What a refused generation replaced stays in force on that node.",
    "Exit code 1 when a policy is not accepted.",
  ].join("\n"),
  options: [
    { name: "context", value: "NAME", summary: "cluster to ask; otherwise the current context" },
    {
      name: "namespace",
      short: "n",
      value: "NS",
      summary: "only this namespace; otherwise all, and policies of no namespace",
    },
    { name: "output", short: "o", value: "FORMAT", summary: "table (default) or json" },
    timeoutOption("how long it may take; 15s"),
    KUBECONFIG,
  ],
  timeout: () => "15s",
  examples: [
    { says: "All policies of the current cluster", command: "mesh policy list" },
    { says: "Those of a namespace of east, for a script", command: "mesh policy list --context east -n shop -o json" },
  ],
  load: () => import("./run-list.js"),
  run: async (input, io) => (await import("./run-list.js")).run(input, io),
};
