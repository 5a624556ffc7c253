/** A Service and pods for tests of rescue (bpf/lib/rescue.h) by real sockets, on one node or two. */
import type { TestContext } from "node:test";
import { Proto } from "../gen/index.js";
import { native } from "../native.js";
import {
  joinNodes,
  makeServiceNode,
  type ServiceNode,
  type ServiceNodeOptions,
  type ServicePod,
} from "./service-node.js";

/** Those of this kernel. */
export const MECHANISMS = native().probeTcx() ? (["tcx", "clsact", "both"] as const) : (["clsact"] as const);
export const VIP = "10.96.0.1";
export const SERVICE = 7;
/** Nothing listens there. */
export const CLOSED = 9;

type Backend = readonly [pod: ServicePod, is: "alive" | "echo" | "dead"];

/** Adds a Service with these tiers of backends, by name; resolves to their ids. */
export async function addService(node: ServiceNode, ...tiers: Readonly<Record<string, Backend>>[]): Promise<void> {
  let index = 1;
  const made = [];
  for (const backends of tiers) {
    const ids: number[] = [];
    for (const [name, [pod, is]] of Object.entries(backends)) {
      const proto = is === "echo" ? "echo" : "tcp";
      const port = is === "dead" ? CLOSED : await pod.sockets.server(proto, 4, pod.address, name);
      ids.push(node.write.backend({ index: index++, address: pod.address, port, node: nodeOf(pod) }));
    }
    made.push({ ids, tries: Math.min(ids.length, 2) - 1 });
  }
  await node.addService(SERVICE, VIP, 80, Proto.Tcp, made);
}

/** Index of the pod's node, by its range. */
export const nodeOf = ({ address }: ServicePod) => Number(address.split(".")[1]);

/** From now on nothing that is sent to the pod arrives. */
export const silence = (pod: ServicePod) => pod.netns.ip("link", "set", "eth0", "down");

/** A node with pods a, b, c and d. */
export async function makeNode(t: TestContext, mechanism?: ServiceNodeOptions["mechanism"]) {
  const node = await makeServiceNode(t, mechanism === undefined ? {} : { mechanism });
  const [a, b] = [await node.addPod("10.1.0.1"), await node.addPod("10.1.0.2")];
  return { node, a, b, c: await node.addPod("10.1.0.3"), d: await node.addPod("10.1.0.4") };
}

/** Two nodes: the clients and a server on the first one, and servers on the other. */
export async function makeNodes(t: TestContext, mechanism?: ServiceNodeOptions["mechanism"]) {
  const options = mechanism === undefined ? {} : { mechanism };
  const near = await makeServiceNode(t, options);
  const far = await makeServiceNode(t, { ...options, range: "10.2.0.0/16" });
  await joinNodes(near, far, { one: "10.1.0.0/16", other: "10.2.0.0/16" });
  const [a, b] = [await near.addPod("10.1.0.1"), await near.addPod("10.1.0.2")];
  return { near, far, a, b, c: await far.addPod("10.2.0.1"), d: await far.addPod("10.2.0.2") };
}
