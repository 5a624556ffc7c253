/**
 * Builds the agent from its parts (kernel, state, stream, routes, pods, health) and runs it until its signal aborts.
 *
 * All lasting state is pinned or on disk: stopping closes descriptors and removes nothing.
 */
import { setMaxListeners } from "node:events";
import { fileURLToPath } from "node:url";
import { openDatapath, openRouteEvents } from "@isthmus/bpf";
import {
  type ClusterId,
  type ClusterName,
  MeshError,
  parseClusterId,
  parseClusterName,
  systemClock,
} from "@isthmus/model";
import { createMetrics, type Health, type Logger, startHealth, startMetrics } from "@isthmus/observe";
import type { Applied, Welcome } from "@isthmus/proto";
import { VERSION } from "@isthmus/runtime";
import { createAgentMetrics } from "./agent-metrics.js";
import type { Arguments } from "./arguments.js";
import { openCgroupRoot, openPodsCgroups, type PodsCgroups, reconcilePodsCgroups } from "./cgroups/index.js";
import { nodeName } from "./desired/nodes/nodes.js";
import { followNetwork } from "./network-changes.js";
import { createNodeCidrs } from "./node-cidrs.js";
import { createNodeConditions } from "./node-conditions.js";
import { createNodeState } from "./node-state.js";
import { createPodReports } from "./pod-reports.js";
import { startPods } from "./pods/index.js";
import { desiredRoutes } from "./routes/desired-routes.js";
import { createRouteReconciler } from "./routes/route-reconciler.js";
import { reportSource } from "./source-report.js";
import { createSyncClient } from "./sync/client.js";
import { createConnect } from "./sync/connection.js";
import { discoverCluster } from "./sync/discover-cluster.js";
import { createServerList } from "./sync/server-list.js";
import { runSnapshotWriter } from "./sync/snapshot-writer.js";
import { type Membership, openStateFiles } from "./sync/state-files.js";

/** Limit of listeners on the agent's signal: more would be a leak, of which Node warns. */
const MOST_PARTS = 50;

export async function runAgent(args: Arguments, log: Logger, stop: AbortSignal): Promise<void> {
  const failure = new AbortController();
  const signal = AbortSignal.any([stop, failure.signal]);
  setMaxListeners(MOST_PARTS, signal);
  const clock = systemClock;
  const cgroupRoot = openCgroupRoot(args.cgroup);
  const files = openStateFiles(args.stateDir);
  const metrics = createMetrics({ process: true });
  const agentMetrics = createAgentMetrics(metrics);
  /** What the start is waiting for; undefined once the agent has started. */
  let waiting: string | undefined =
    "waiting for the Welcome of an apiserver, which names the node's cluster (--servers)";
  let cgroups: PodsCgroups | undefined;
  const ready = [
    { name: "started", check: () => waiting },
    { name: "service programs", check: () => (cgroups === undefined ? "not loaded yet" : cgroups.problem) },
  ];
  const serveHealth = (): Promise<Health> => startHealth({ address: args.health }, { metrics, ready });

  const metricsServer =
    args.metricsAddress === undefined ? undefined : await startMetrics(args.metricsAddress, metrics);

  const before = await files.membership();
  log.info("Starting", {
    version: VERSION,
    node: args.node,
    cluster: before?.cluster,
    servers: args.servers,
    bpffs: args.bpffs,
  });
  const servers = createServerList(args.servers, before?.servers ?? []);
  const { node } = args;
  const connect = createConnect(args.tlsDir);
  // With a known membership the maps are opened before the health server: a second agent on this node then fails with
  // the error about the maps in use, not about the port.
  let health = before === undefined ? await serveHealth() : undefined;
  const { cluster, clusterId } = before ?? (await firstJoin());
  const own = { cluster, clusterId };

  async function firstJoin(): Promise<Membership> {
    const welcome = await discoverCluster({ node, version: VERSION }, { connect, servers, clock, log, signal });
    return remember(welcome);
  }

  /** Throws for an invalid cluster name or id; nothing is saved then. */
  async function remember(welcome: Welcome): Promise<Membership> {
    const names = { cluster: parseClusterName(welcome.cluster), clusterId: parseClusterId(welcome.clusterId) };
    servers.learn(welcome.servers);
    const membership = { ...names, servers: servers.learned };
    await files.saveMembership(membership);
    return membership;
  }

  waiting = "reading the pinned maps";
  const port = await openDatapath({
    bpffs: args.bpffs,
    objectDir: args.bpfDir ?? fileURLToPath(new URL("../../../bpf/build", import.meta.url)),
    config: { clusterId: own.clusterId },
  });
  if (port.refusal === "EPERM") {
    log.warn("Connects to a Service without backends fail with EPERM, not ECONNREFUSED: the kernel is older than 5.18");
  }
  cgroups = openPodsCgroups({ root: cgroupRoot, configured: args.podsCgroups }, { log, attach: port.attach });
  cgroups.check();
  health ??= await serveHealth();
  const { good, refused } = await files.snapshots();
  for (const { file, error } of refused) {
    agentMetrics.refusedFile(file);
    log.warn("Snapshot refused", { file, error });
  }

  const cidrs = createNodeCidrs();
  const state = await createNodeState(
    { node, version: VERSION, ...own, refuseUnknownClusterIps: args.refuseUnknownClusterIps },
    {
      port,
      clock,
      log,
      signal,
      snapshots: good,
      applied: acknowledge,
      nodeConfig: cidrs.set,
      routes: () => routes.trigger(),
      count: agentMetrics.syncEvent,
      refusedRecord: agentMetrics.refusedRecord,
      failed: (error) => failure.abort(error),
    },
  );
  const routes = createRouteReconciler({
    log,
    clock,
    signal,
    desired: () => desiredRoutes(state.meshState.nodes, nodeName(own.clusterId, node)),
    complete: state.complete,
  });
  const client = createSyncClient({
    connect,
    core: state.core,
    servers,
    clock,
    log,
    signal,
    waiting: () => state.applier.waiting,
    caughtUp: () => state.applier.idle(),
    perform(effect) {
      if (effect.is === "welcome") welcomed(effect.welcome);
      else state.perform(effect);
    },
  });
  const reports = createPodReports(client.send);
  const conditions = createNodeConditions(() => sendAck([]));

  function welcomed(welcome: Welcome): void {
    const same = welcome.cluster === own.cluster && welcome.clusterId === own.clusterId;
    if (!same) failure.abort(wrongCluster(own, welcome));
    else {
      remember(welcome).catch((error: unknown) => log.warn("Cannot save the list of servers", { error }));
      reports.connected();
      conditions.connected();
    }
  }

  function acknowledge(applied: readonly Applied[], tookMs: number): void {
    agentMetrics.applied(applied, tookMs);
    if (applied.length > 0) sendAck(applied);
  }

  function sendAck(applied: readonly Applied[]): void {
    const maps = [...state.datapath.fill()];
    const value = { applied: [...applied], views: [], policyRevision: 0n, maps, conditions: conditions.list() };
    client.send({ message: { $case: "ack", value } });
  }

  agentMetrics.watch({
    fill: () => state.datapath.fill(),
    connected: () => client.server !== undefined,
    sources: () => [...state.core.sources.values()].map((source) => reportSource(source, own.clusterId)),
    cgroups: () => cgroups?.attached.length ?? 0,
    failedObjects: () => state.datapath.status.errors.size + state.meshState.planErrors.size,
    datapath: () => port.metrics(),
  });
  const changes = followNetwork({ socket: openRouteEvents(), clock, signal });
  changes.subscribe(routes.onEvents);
  routes.trigger();
  const pods = await startPods(
    {
      nodeName: node,
      nodeRoot: args.nodeRoot,
      socketPath: args.cniSocket,
      cniBinDir: args.cniBinDir,
      cniConfDir: args.cniConfDir,
      pluginPath: args.cniPlugin,
      stateDir: args.stateDir,
    },
    {
      log,
      nodeConfig: cidrs,
      report: reports,
      programs: cgroups.requireAttached,
      changes,
      condition: conditions.set,
      signal,
    },
  );
  waiting = undefined;
  signal.addEventListener("abort", () => log.info("Stopping; maps, programs and routes stay"), { once: true });
  log.info("Started", { node, ...own, frontendsAdopted: state.datapath.adopted.frontends.size });

  try {
    await Promise.all([
      client.run(),
      runSnapshotWriter({ core: state.core, files, clock, log, signal }),
      reconcilePodsCgroups(cgroups, clock, signal),
      pods.closed,
    ]);
    await state.applier.idle();
  } finally {
    await Promise.all([health?.close(), metricsServer?.close()]);
    port.close();
  }
  if (failure.signal.aborted) throw failure.signal.reason;
}

function wrongCluster(
  own: { readonly cluster: ClusterName; readonly clusterId: ClusterId },
  welcome: Welcome,
): MeshError {
  return new MeshError(
    { code: "OTHER_CLUSTER", cluster: welcome.cluster },
    `Cannot follow cluster "${welcome.cluster}" (${welcome.clusterId}): this node belongs to "${own.cluster}" (${own.clusterId}); remove its pins and state folder to move it`,
  );
}
