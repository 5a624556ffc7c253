import { type Command, KUBECONFIG, timeoutOption } from "../../cli/command.js";

export const policyDiff: Command = {
  path: ["policy", "diff"],
  summary: "show whose connections a change of policies would allow or deny, before it is made",
  detail: [
    "Compares what is in force in a cluster with what would be, for each pod of the cluster and each identity at the other end, of pods",
    "of all clusters, nodes and address ranges. Nothing is changed. Ports that would be denied come first, with what decides before and",
    "after, and with example pods. Established connections that would be denied end within a second of the change, too.",
    "Each end of a connection is judged for itself: what is shown as allowed may be denied by policies at the other end.",
    "Files have NetworkPolicies, CiliumNetworkPolicies, CiliumClusterwideNetworkPolicies and CiliumCIDRGroups, in YAML or JSON.",
    "toServices means the Services that the cluster has. A policy that would not be accepted is shown with what is wrong, and nothing",
    "is compared then.",
    "Exit code 0 without a difference, 1 with one, above 1 for an error or a policy that would not be accepted.",
  ].join("\n"),
  options: [
    {
      name: "filename",
      short: "f",
      value: "FILE",
      multiple: true,
      summary: "manifests that would be applied; - for stdin",
    },
    {
      name: "delete",
      value: "KIND/NS/NAME",
      multiple: true,
      summary: "policy that would be deleted; CiliumClusterwideNetworkPolicy/NAME has no namespace",
    },
    { name: "context", value: "NAME", summary: "cluster to ask; otherwise the current context" },
    {
      name: "namespace",
      short: "n",
      value: "NS",
      summary: "namespace of what names none; otherwise that of the context",
    },
    { name: "output", short: "o", value: "FORMAT", summary: "text (default) or json" },
    timeoutOption("how long it may take; 60s"),
    KUBECONFIG,
  ],
  timeout: () => "60s",
  errorExit: 2,
  examples: [
    { says: "What a manifest would change in the current cluster", command: "mesh policy diff -f new.yaml" },
    {
      says: "The same in east, when a policy is deleted at the same time",
      command: "mesh policy diff --context east -f new.yaml --delete NetworkPolicy/shop/old",
    },
    { says: "Of what a tool renders, for a script", command: "kustomize build . | mesh policy diff -f - -o json" },
  ],
  load: () => import("./run-diff.js"),
  run: async (input, io) => (await import("./run-diff.js")).run(input, io),
};
