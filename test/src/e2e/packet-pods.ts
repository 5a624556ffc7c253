/**
 * Pods between which the packets' tests send: a client on the first node of cluster "solo", and a server on the same node, on
 * another one, and in another cluster.
 */
import assert from "node:assert/strict";
import { NAMESPACES, PODS } from "@isthmus/kube";
import type { LabHandle, NodePlan } from "@isthmus/lab";
import { type Cluster, openCluster, PROBER } from "./cluster.js";
import { eventually } from "./eventually.js";
import { ECHO_PORT, echoServer, HTTP_PORT, NAMESPACE, namespace } from "./objects.js";
import { type PodCommand, startPodCommand } from "./pod-command.js";
import { MANAGER, meshOf } from "./world.js";

export interface PacketPod {
  /** Where it is, seen from the client: "the same node". */
  readonly where: string;
  readonly name: string;
  readonly cluster: Cluster;
  readonly node: NodePlan;
  readonly address: string;
  /** `address:port` of its servers. */
  readonly echo: string;
  readonly http: string;
}

export interface PacketPods {
  readonly lab: LabHandle;
  /** The clients' cluster; its pod PROBER is the client. */
  readonly solo: Cluster;
  readonly other: Cluster;
  /** The client's node. */
  readonly node: NodePlan;
  /** On the same node, on another node, in another cluster. */
  readonly near: PacketPod;
  readonly far: PacketPod;
  readonly abroad: PacketPod;
  /** Output lines of `paths …` in the client. */
  paths(...args: readonly string[]): Promise<readonly string[]>;
  /** The same in one of the servers. */
  pathsIn(server: PacketPod, ...args: readonly string[]): Promise<readonly string[]>;
  /** Starts `paths …` in a server, or in the client when that is undefined; what still runs ends with `close`. */
  start(server: PacketPod | undefined, ...args: readonly string[]): PodCommand;
  close(): void;
}

/** Connects the lab's two clusters and starts the servers; the client is there. */
export async function openPacketPods(lab: LabHandle, solo: Cluster): Promise<PacketPods> {
  const [, otherPlan] = lab.plan.clusters;
  const [node, another] = solo.plan.nodes;
  const [abroadNode] = otherPlan?.nodes ?? [];
  if (otherPlan === undefined || abroadNode === undefined || node === undefined || another === undefined)
    throw new Error("Cannot test without two clusters, the first with two nodes");
  const mesh = meshOf(lab);
  const connected = await mesh("connect", solo.plan.name, otherPlan.name);
  assert.equal(connected.code, 0, connected.err);
  const waited = await mesh("status", "--wait", "--timeout", "60s");
  assert.equal(waited.code, 0, waited.err);
  const other = openCluster(lab, otherPlan);
  await other.client.apply(NAMESPACES, namespace, MANAGER);
  const [near, far, abroad] = await Promise.all([
    startServer("the same node", "near", solo, node),
    startServer("another node", "far", solo, another),
    startServer("another cluster", "abroad", other, abroadNode),
  ]);
  const commands: PodCommand[] = [];
  const start = (server: PacketPod | undefined, ...args: readonly string[]) => {
    const command = startPodCommand(lab, server?.cluster ?? solo, server?.name ?? PROBER, "/paths", ...args);
    commands.push(command);
    return command;
  };
  const pathsIn = (server: PacketPod | undefined, ...args: readonly string[]) => start(server, ...args).end();
  const paths = (...args: readonly string[]) => pathsIn(undefined, ...args);
  for (const { where, echo } of [near, far, abroad])
    await eventually(
      `an answer from ${where}`,
      () => paths("connect", echo),
      ([line]) => line?.startsWith("open ") ?? false,
    );
  const close = () => {
    for (const command of commands) command.kill();
    other.close();
  };
  return { lab, solo, other, node, near, far, abroad, paths, pathsIn, start, close };
}

/** Starts an echo server; resolves when it is ready. */
export async function startServer(where: string, name: string, cluster: Cluster, node: NodePlan): Promise<PacketPod> {
  await cluster.client.create(PODS, echoServer(name, node.name, cluster.plan.name));
  const waited = await cluster.kubectl("wait", `pod/${name}`, "--for=condition=Ready", "--timeout=60s");
  assert.equal(waited.code, 0, waited.err);
  const pod = await cluster.client.get(PODS, name, { namespace: NAMESPACE });
  const address = (pod as { status?: { podIP?: string } } | undefined)?.status?.podIP ?? "";
  return { where, name, cluster, node, address, echo: `${address}:${ECHO_PORT}`, http: `${address}:${HTTP_PORT}` };
}
