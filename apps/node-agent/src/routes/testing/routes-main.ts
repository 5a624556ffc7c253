/**
 * The route reconciler of the agent as a separate process, which tests start in a network namespace.
 *
 * argv[2] = this node's name; stdin = one JSON list of nodes (name, address, pod CIDR) per line, each the complete
 * list.
 */
import { createInterface } from "node:readline";
import { openNetlink, openRouteEvents } from "@isthmus/bpf";
import { systemClock } from "@isthmus/model";
import { createLogger } from "@isthmus/observe";
import { Node } from "@isthmus/proto";
import { makeNode } from "@isthmus/testing";
import { type NodeName, nodeName } from "../../desired/nodes/nodes.js";
import { followNetwork } from "../../network/network-changes.js";
import { createRouteKernel } from "../route-kernel.js";
import { createRouteReconciler } from "../route-reconciler.js";

const self = nodeName(1, process.argv[2] ?? "");
const signal = new AbortController().signal;
const clock = systemClock;
let nodes = new Map<NodeName, Node>();
let complete = false;
const reconciler = createRouteReconciler({
  log: createLogger({ app: "agent" }),
  clock,
  signal,
  kernel: createRouteKernel(openNetlink),
  self,
  nodes: () => nodes,
  complete: () => complete,
});
followNetwork({ socket: openRouteEvents(), clock, signal }).subscribe(reconciler.onEvents);
void reconciler.trigger();
createInterface({ input: process.stdin })
  .on("line", (line) => {
    const specs = JSON.parse(line) as [name: string, ip: string, cidr: string][];
    const before = nodes;
    nodes = new Map(specs.map(([name, ip, cidr]) => [nodeName(1, name), Node.decode(makeNode(name, ip, cidr).value)]));
    complete = true;
    reconciler.update([...before.keys(), ...nodes.keys()]);
  })
  .on("close", () => process.exit(0));
