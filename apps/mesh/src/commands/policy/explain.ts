import { type Command, KUBECONFIG, timeoutOption } from "../../cli/command.js";

export const policyExplain: Command = {
  path: ["policy", "explain"],
  summary:
    "say whether policies allow a flow between two pods, of two clusters too, why, and whether the nodes' maps say the same",
  detail: [
    "The egress of --from is decided in its cluster, the ingress of --to in that of --to, each as that cluster sees the other end: a",
    "flow passes when both allow it. For each it shows the pod's identity, the policies that select it and whether they isolate that",
    "direction, the rule that decides, and then the entries of the maps of the pod's node by which its programs decide: the pod's row,",
    "whose the other address is, what the policy set says of that identity, and of the port. Where the maps are not what the policies",
    "say, it names the points, and what the node has not applied yet.",
    "A pod is CONTEXT/NAMESPACE/POD, or NAMESPACE/POD of the context of --context. --to may be an IP address, too: of a node, of the world,",
    "or of a pod, whose ingress is asked about if its cluster is the one of --from or has a context of its name.",
    "Policies see pods, not Services: name a pod behind the Service; mesh service explain has them.",
    "audited: policies deny it, and it passes nevertheless, because the pod that would deny it is in audit mode.",
    "Exit code 0 when the flow is allowed and the maps of the nodes say so too, 1 otherwise.",
  ].join("\n"),
  options: [
    { name: "from", value: "POD", summary: "the pod that begins the flow: CONTEXT/NAMESPACE/POD or NAMESPACE/POD" },
    {
      name: "to",
      value: "TARGET",
      summary: "POD:PORT/PROTO or ADDRESS:PORT/PROTO; PROTO is tcp (default), udp, sctp, or icmp with its type as PORT",
    },
    { name: "context", value: "NAME", summary: "cluster of pods without a context; otherwise the current context" },
    { name: "output", short: "o", value: "FORMAT", summary: "text (default) or json" },
    timeoutOption("how long it may take; 30s"),
    KUBECONFIG,
  ],
  timeout: () => "30s",
  examples: [
    {
      says: "May a pod of east reach one of west at 8080, and which rule decides?",
      command: "mesh policy explain --from east/shop/cart-7d9f --to west/shop/web-0:8080",
    },
    {
      says: "May a pod of the current cluster ask a DNS server of the world?",
      command: "mesh policy explain --from shop/cart-7d9f --to 203.0.113.53:53/udp",
    },
    { says: "For a script", command: "mesh policy explain --from shop/cart-7d9f --to shop/web-0:80 -o json" },
  ],
  load: () => import("./run-explain.js"),
  run: async (input, io) => (await import("./run-explain.js")).run(input, io),
};
