import { type Command, KUBECONFIG, timeoutOption } from "../../cli/command.js";

export const identityList: Command = {
  path: ["identity", "list"],
  summary: "show each security identity that a cluster knows, of its own pods and of those of other clusters",
  detail: [
    "Policies judge packets by the identities of both ends. Pods with the same labels, of one namespace and service account, share one.",
    "LABELS are those of the pods; -o json has those of the namespace, too. PODS counts the pods that have it now, with one of them",
    "in brackets; an identity without pods is deleted after an hour.",
  ].join("\n"),
  options: [
    { name: "context", value: "NAME", summary: "cluster to ask; otherwise the current context" },
    { name: "namespace", short: "n", value: "NS", summary: "only pods of this namespace; otherwise all" },
    { name: "output", short: "o", value: "FORMAT", summary: "table (default) or json" },
    timeoutOption("how long it may take; 15s"),
    KUBECONFIG,
  ],
  timeout: () => "15s",
  examples: [
    { says: "All identities that the current cluster knows", command: "mesh identity list" },
    { says: "Those of a namespace, as east sees them", command: "mesh identity list --context east -n shop" },
  ],
  load: () => import("./run-list.js"),
  run: async (input, io) => (await import("./run-list.js")).run(input, io),
};
