import { type Command, KUBECONFIG, timeoutOption } from "../../cli/command.js";

export const connect: Command = {
  path: ["connect"],
  args: "CONTEXT CONTEXT…",
  summary: "make clusters members of one mesh; running it again changes nothing",
  detail: [
    "Checks everything first and writes only when nothing fails. Then, for each cluster: a user of its own in the store, a",
    "certificate signed from the cluster's request (its private key stays in the cluster), and a MeshPeer for each other one.",
    "What it writes may as well be written by GitOps: see --dry-run -o yaml.",
    "",
    'The store is a JSON file: {"endpoints": ["https://…"], "ca": PATH, "cert": PATH, "key": PATH, "caKey": PATH}; cert and',
    "key are the owner's (CN=root), caKey signs the clusters' requests. `mesh lab env` sets MESH_STORE to the lab's.",
  ].join("\n"),
  options: [
    { name: "store", value: "FILE", summary: "the store file; otherwise $MESH_STORE" },
    { name: "dry-run", summary: "check and show what would be written, write nothing" },
    { name: "output", short: "o", value: "FORMAT", summary: "table (default), json, or yaml: the objects" },
    timeoutOption("how long it may take; 1m. What was written by then stays, and running it again continues"),
    KUBECONFIG,
  ],
  timeout: () => "1m",
  examples: [
    {
      says: "Connect two clusters, then wait until each follows the other",
      command: "mesh connect east west && mesh status --wait",
    },
    { says: "See what would be written, as manifests", command: "mesh connect east west --dry-run -o yaml" },
    { says: "Add a third cluster later", command: "mesh connect east west north --store prod-store.json" },
  ],
  load: () => import("./run-connect.js"),
  run: async (input, io) => (await import("./run-connect.js")).run(input, io),
};
