import { type Command, KUBECONFIG, timeoutOption } from "../../cli/command.js";

export const serviceList: Command = {
  path: ["service", "list"],
  summary: "show each frontend of a cluster: its backends per cluster and tier, and what keeps one out",
  detail: [
    "BACKENDS counts those that new connections may go to now. CLUSTERS shows the tiers, best first, each cluster with its ready",
    "backends (1/2: one of two; 0+1/2: one is terminating and still serves); the tier in brackets takes new connections.",
    "STATUS is what the nodes hold: Done on all of them; Applying, on how many, while one is behind or not connected; Merged when",
    "the apiserver does not know its nodes.",
    "NOTES says what keeps a cluster out, and what of the Service does not take effect as written, here or in the other",
    "clusters; the same stands on the Service as Events and as conditions mesh.isthmus.io/*. A Service without a ClusterIP is",
    "listed only when it has annotations of the mesh.",
    "Exit code 1 when a frontend is in error, or in a state that this version does not know; a Service without a ready backend is not",
    "an error.",
  ].join("\n"),
  options: [
    { name: "context", value: "NAME", summary: "cluster to ask; otherwise the current context" },
    { name: "namespace", short: "n", value: "NS", summary: "only this namespace; otherwise all" },
    { name: "global", summary: "only global services" },
    { name: "output", short: "o", value: "FORMAT", summary: "table (default) or json" },
    timeoutOption("how long it may take; 15s"),
    KUBECONFIG,
  ],
  timeout: () => "15s",
  examples: [
    { says: "All frontends of the current cluster", command: "mesh service list" },
    {
      says: "Where do east's clients of a global service go?",
      command: "mesh service list --context east -n shop --global",
    },
  ],
  load: () => import("./run-list.js"),
  run: async (input, io) => (await import("./run-list.js")).run(input, io),
};
