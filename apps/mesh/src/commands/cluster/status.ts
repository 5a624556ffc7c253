import { type Command, type Input, KUBECONFIG, timeoutOption } from "../../cli/command.js";

const limit = (input: Input) => input.value("timeout") ?? (input.flag("wait") ? "2m" : "15s");

export const status: Command = {
  path: ["status"],
  summary: "show, for each pair of clusters and each hop, whether it is fresh and in sync, and how far behind",
  detail: [
    "Hops of a change: publish (Kubernetes → apiserver → store), read (store → the other cluster's apiserver), apply (apiserver →",
    "agents, held by their kernels). FRESH is the age of the last sign of life, POSITION the store's revision up to which it is",
    "done, LAG what is still to come. An apply position below the read one with a lag of 0 ms: nothing since then concerned that pair.",
    "Every Linux node must have an agent that is in sync. For 30 s after an apiserver started or a node appeared its agent is awaited:",
    "a warning, for which --wait waits. Windows and virtual nodes have no agent; -o json counts them.",
    "With --verbose the figures of nodes follow, the worst first: how full the maps of flows, pods and ranges are; flows that are new,",
    "picked up (older than their entry), evicted (lost their entry to others) or found no room; packets to a pod, to another node, or left",
    "to the node's stack; events that were not written, above a pod's limit or for want of room; drops and refused connects by reason.",
    "Exit code 0: every hop is fresh and in sync; 1: not; 3: with --wait, not within --timeout.",
  ].join("\n"),
  options: [
    {
      name: "context",
      value: "NAME",
      multiple: true,
      summary: "contexts to look at; otherwise all that hold a MeshCluster",
    },
    { name: "verbose", summary: "show the figures of nodes too: fill of maps, flows, packets, drops" },
    { name: "wait", summary: "wait until everything is in sync" },
    timeoutOption("how long a look may take, 15s; with --wait how long to wait, 2m"),
    { name: "output", short: "o", value: "FORMAT", summary: "table (default) or json" },
    KUBECONFIG,
  ],
  timeout: limit,
  examples: [
    { says: "Is the mesh in sync?", command: "mesh status" },
    { says: "What do the nodes' programs do, and is a map full?", command: "mesh status --verbose" },
    { says: "Wait for it in a script", command: "mesh status --wait --timeout 60s" },
    { says: "What is wrong, for a program", command: "mesh status -o json | jq .findings" },
  ],
  load: () => import("./run-status.js"),
  run: async (input, io) => (await import("./run-status.js")).run(input, io, limit(input)),
};
