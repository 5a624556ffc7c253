/**
 * The list of the agent's parts: starts them in order, runs them until the signal aborts, and closes them in reverse.
 *
 * All lasting state is pinned or on disk: stopping closes descriptors and removes nothing.
 */
import { setMaxListeners } from "node:events";
import { openNetlink, openRouteEvents } from "@isthmus/bpf";
import { type Clock, type ServiceName, systemClock } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import type { HashedRecord } from "@isthmus/records";
import { VERSION } from "@isthmus/runtime";
import type { AgentMetrics } from "./agent-metrics.js";
import type { Arguments } from "./arguments.js";
import { openCgroupRoot } from "./cgroups/cgroup-root.js";
import { reconcilePodsCgroups } from "./cgroups/pods-cgroups.js";
import { nodeName } from "./desired/nodes/nodes.js";
import { createFrontendLookup } from "./dump/frontend-lookup.js";
import { createMapQueries } from "./dump/map-queries.js";
import { createPolicyLookup, type PolicyLookup } from "./dump/policy-lookup.js";
import { createEnforcedPods } from "./enforced-pods.js";
import { createBackendAddresses } from "./events/backend-addresses.js";
import { type EventFeed, startEventFeed } from "./events/event-feed.js";
import { createPodNames } from "./events/pod-names.js";
import { createPolicyNames } from "./events/policy-names.js";
import { createServiceNames } from "./events/service-names.js";
import { createSpoofingReport } from "./events/spoofing-report.js";
import { nodeFigures } from "./figures/node-figures.js";
import { createRecentCounters } from "./figures/recent-counters.js";
import { countMoves } from "./figures/service-moves.js";
import { followHostAddresses } from "./host-addresses.js";
import { type Kernel, openKernel } from "./kernel.js";
import { createKeptPolicies } from "./kept-policies.js";
import { joinCluster, type LocalCluster, takeWelcome } from "./membership.js";
import { createMonitoring, type Monitoring } from "./monitoring.js";
import { followNetwork } from "./network/network-changes.js";
import { createNodeCidrs } from "./node-cidrs.js";
import { createNodeReports } from "./node-reports.js";
import { createNodeState } from "./node-state.js";
import { openEndpointTable } from "./packets/endpoint-table.js";
import { type Packets, startPackets } from "./packets/packets.js";
import { type PodsOptions, readAttachments, startPods } from "./pods/index.js";
import { createPolicyReport } from "./policy-report.js";
import { serveQueries } from "./queries/query-streams.js";
import { createRouteKernel } from "./routes/route-kernel.js";
import { createRouteReconciler } from "./routes/route-reconciler.js";
import { reportSource } from "./source-report.js";
import { createSyncClient } from "./sync/client.js";
import { type Connect, createConnect } from "./sync/connection.js";
import { createServerList, type ServerList } from "./sync/server-list.js";
import type { Snapshot } from "./sync/snapshot.js";
import { runSnapshotWriter } from "./sync/snapshot-writer.js";
import { openStateFiles, type StateFiles } from "./sync/state-files.js";
import { createFailedPolicies, createUnenforcedCheck, createUnenforcedReport } from "./unenforced-policy.js";

/** Limit of listeners on the agent's signal: more would be a leak, of which Node warns. */
const MOST_PARTS = 50;

const WITHOUT_POLICY = "its agent runs with --datapath-mode sockets, which enforces no policies; only packets does";
const WITHOUT_EVENTS = "its agent runs with --datapath-mode sockets, which sees no packets; events need packets";

/** The clock by which programs time events. */
const monotonicNs = () => process.hrtime.bigint();
const monotonicMicros = () => Number(monotonicNs() / 1000n);

const WAITING_FOR_WELCOME = "waiting for the Welcome of an apiserver, which names the node's cluster (--servers)";

/** What all parts share. */
interface SharedModules {
  readonly args: Arguments;
  readonly log: Logger;
  readonly clock: Clock;
  /** Aborts when the agent must stop. */
  readonly signal: AbortSignal;
  /** Stops the agent: `runAgent` rejects with the error. */
  readonly fail: (error: unknown) => void;
  readonly monitoring: Monitoring;
}

/** How this node reaches its cluster: which it is, the servers, and what is kept on disk of both. */
interface ClusterAccess {
  readonly local: LocalCluster;
  readonly files: StateFiles;
  readonly servers: ServerList;
  readonly connect: Connect;
}

/**
 * Resolves when all parts are closed after `stop` aborted. Rejects with what kept a part from starting, the reason of
 * `stop` included, or with the first error after which the agent cannot go on.
 */
export async function runAgent(args: Arguments, log: Logger, stop: AbortSignal): Promise<void> {
  const failure = new AbortController();
  const signal = AbortSignal.any([stop, failure.signal]);
  setMaxListeners(MOST_PARTS, signal);
  const fail = (error: unknown) => failure.abort(error);
  const closers: (() => Promise<void> | void)[] = [];
  try {
    const cgroupRoot = openCgroupRoot(args.cgroup);
    const monitoring = createMonitoring(args, WAITING_FOR_WELCOME);
    const shared = { args, log, clock: systemClock, signal, fail, monitoring };
    await monitoring.serveMetrics();
    const access = await join(shared);
    monitoring.waitFor("reading the pinned maps");
    const confirmUnenforced = createUnenforcedCheck({
      accepted: args.unenforcedPolicy,
      attachedPods: () => readAttachments(args.stateDir),
      log,
    });
    const kernel = await openKernel({ ...args, cgroupRoot, clusterId: access.local.clusterId, confirmUnenforced }, log);
    closers.push(kernel.close, monitoring.close); // its endpoints read the maps
    monitoring.watchPrograms(() => kernel.cgroups.problem);
    await monitoring.serveHealth();
    const node = await startNode(shared, access, kernel);
    monitoring.waitFor(undefined);
    signal.addEventListener("abort", () => log.info("Stopping; maps, programs and routes stay"), { once: true });
    log.info("Started", { node: args.node, ...access.local, frontendsAdopted: node.frontendsAdopted });
    await node.run();
  } finally {
    for (const close of closers.reverse()) await close();
  }
  if (failure.signal.aborted) throw failure.signal.reason;
}

/**
 * With a known membership the maps are opened before health is served: a second agent on this node then fails with the
 * error about the maps in use, not about the port.
 */
async function join({ args, log, clock, signal, monitoring }: SharedModules): Promise<ClusterAccess> {
  const files = openStateFiles(args.stateDir);
  const before = await files.membership();
  const { node, bpffs } = args;
  log.info("Starting", { version: VERSION, node, cluster: before?.cluster, servers: args.servers, bpffs });
  const servers = createServerList(args.servers, before?.servers ?? []);
  const connect = createConnect(args.tlsDir);
  if (before === undefined) await monitoring.serveHealth();
  const modules = { files, servers, connect, clock, log, signal };
  const { cluster, clusterId } = before ?? (await joinCluster({ node, version: VERSION }, modules));
  return { local: { cluster, clusterId }, files, servers, connect };
}

/** The parts that follow the stream: maps, routes, reports, pods. */
async function startNode(
  { args, log, clock, signal, fail, monitoring }: SharedModules,
  access: ClusterAccess,
  kernel: Kernel,
) {
  const { local, files, servers, connect } = access;
  const { port, cgroups } = kernel;
  const { metrics } = monitoring;
  const { node, refuseUnknownClusterIps } = args;
  const cidrs = createNodeCidrs();
  let packets: Packets | undefined;
  const table =
    port.packets &&
    (await openEndpointTable(port.packets, {
      gracePeriod: () => port.gracePeriod(),
      removed: async () => void (await packets?.forgetPods()),
    }));
  const snapshots = await readSnapshots(files, metrics, log);
  const keptPolicies = await readKeptPolicies(files, metrics, log);
  const present = snapshots.map(({ clusterId }) => clusterId);
  const state = await createNodeState(
    { node, version: VERSION, ...local, refuseUnknownClusterIps },
    {
      port,
      enforcement: port.packets && table && { port: port.packets.policy, pods: table },
      clock,
      log,
      signal,
      snapshots,
      keptPolicies,
      applied(acks, tookMs) {
        metrics.applied(acks, tookMs);
        reportUnenforced();
        reports.acknowledge(acks, reportPolicies?.(acks));
        kept.look();
      },
      nodeConfig: cidrs.set,
      routes(names) {
        const changed = [...names];
        routes.update(changed);
        packets?.update(changed);
      },
      count: metrics.syncEvent,
      refusedRecord: metrics.refusedRecord,
      failed: fail,
    },
  );
  const condition = (type: string, message: string | undefined) => reports.conditions.set(type, message);
  const reportUnenforced =
    port.packets === undefined
      ? createUnenforcedReport({ meshState: state.meshState, condition })
      : createFailedPolicies({
          errors: () => [...(state.datapath.policy?.errors() ?? []), ...state.meshState.policies.errors],
          condition,
        });
  const reportPolicies =
    port.packets &&
    createPolicyReport({
      policies: state.meshState.policies,
      inMaps: () => [...(state.datapath.policy?.errors() ?? [])].length === 0,
    });
  const kept = createKeptPolicies({ meshState: state.meshState, files, log, saved: keptPolicies });
  const routes = createRouteReconciler({
    log,
    clock,
    signal,
    kernel: createRouteKernel(openNetlink),
    self: nodeName(local.clusterId, node),
    nodes: () => state.meshState.nodes,
    complete: state.complete,
  });
  const names = createPodNames();
  const services = createServiceNames(state.desired);
  const spoofing = createSpoofingReport({
    ...{ condition, clock, log: log.child("events"), signal },
  });
  const policyNames = createPolicyNames(state.meshState.policy, state.meshState.policyEngine);
  const events: EventFeed | undefined =
    port.packets &&
    startEventFeed({
      ...{ events: port.packets.events, pods: names, services, clock, monotonicMicros, signal },
      backends: createBackendAddresses(port.backends),
      policies: policyNames,
      dropped: spoofing.take,
    });
  const maps = createMapQueries({ port, pods: names, services, monotonicNs });
  const policy: PolicyLookup =
    port.packets === undefined
      ? () => ({ problem: WITHOUT_POLICY })
      : createPolicyLookup({ packets: port.packets, names: policyNames });
  const frontends = createFrontendLookup({
    ...{ port, localCluster: local.clusterId, desired: state.desired },
    problems: (frontend, service) =>
      [state.meshState.planErrors.get(service as ServiceName), state.datapath.status.errors.get(frontend)].filter(
        (error) => error !== undefined,
      ),
  });
  const counters = createRecentCounters({ read: () => port.metrics(), clock, signal });
  const fill = () => [...state.datapath.fill(), ...(packets?.fill() ?? [])];
  const client = createSyncClient({
    connect,
    connected: (connection, over) =>
      serveQueries(connection.openQueries, over, {
        ...{ events: events ?? { problem: WITHOUT_EVENTS }, maps, frontends, policy, node, version: VERSION, clock },
        figures: () => nodeFigures({ datapathMode: args.datapathMode, fill, counters }),
        log: log.child("queries"),
      }),
    core: state.core,
    servers,
    clock,
    log,
    signal,
    waiting: () => state.applier.waiting,
    caughtUp: () => state.applier.idle(),
    perform(effect) {
      if (effect.is !== "welcome") return state.perform(effect);
      const wrongCluster = takeWelcome(local, effect.welcome, { files, servers, log });
      if (wrongCluster !== undefined) return fail(wrongCluster);
      reports.connected();
    },
  });
  const reports = createNodeReports({ send: client.send, fill, enforcesPolicies: port.packets !== undefined });
  metrics.watch({
    fill,
    connected: () => client.server !== undefined,
    sources: () => [...state.core.sources.values()].map((source) => reportSource(source, local.clusterId)),
    cgroups: () => cgroups.attached.length,
    failedObjects: () =>
      [state.datapath.status.errors, state.meshState.planErrors, state.meshState.policies.errors].reduce(
        (sum, { size }) => sum + size,
        0,
      ),
    datapath: () => port.metrics(),
    moves: () => countMoves(port.packets?.serviceMoves() ?? [], state.datapath.serviceOf),
    events: () => events,
  });
  const changes = followNetwork({ socket: openRouteEvents(), clock, signal });
  changes.subscribe(routes.onEvents);
  void routes.trigger();
  await followHostAddresses({
    ...{ openNetlink, changes, log, clock, signal },
    set(addresses) {
      state.meshState.setHostAddresses(addresses);
      state.applier.kick();
    },
  });
  if (port.packets !== undefined && table !== undefined) {
    packets = await startPackets({
      ...{ path: port.packets, table, openNetlink, changes, names, log, clock, signal },
      monotonicNs,
      nodes: () => state.meshState.nodes,
      complete: state.complete,
    });
    // What was applied meanwhile.
    packets.update(state.meshState.nodes.keys());
  }
  const pods = await startPods(podsOptions(args), {
    log,
    nodeConfig: cidrs,
    report: {
      up(pod, hostPorts) {
        state.pods.attach(pod);
        reports.pods.up(pod, hostPorts);
      },
      down(pod) {
        state.pods.detach(pod.hostDevice);
        reports.pods.down(pod);
      },
    },
    health: reports.health,
    openNetlink,
    programs: cgroups.requireAttached,
    enforced:
      packets &&
      createEnforcedPods({
        ...{ core: state.core, changes: state.changes, clock, signal },
        isEnforced: (address) => state.datapath.policy?.isReady(address) ?? false,
        connected: () => client.server !== undefined,
      }),
    changes,
    devices: packets?.devices,
    condition: reports.conditions.set,
    signal,
  });
  return {
    frontendsAdopted: state.datapath.adopted.frontends.size,
    /** Resolves when aborted, the maps hold what was received, and nothing is attached to devices any more. */
    async run(): Promise<void> {
      await Promise.all([
        client.run(),
        runSnapshotWriter({ core: state.core, files, present, clock, log, signal }),
        reconcilePodsCgroups(cgroups, clock, signal),
        pods.closed,
      ]);
      await Promise.all([state.applier.idle(), packets?.idle()]);
      await kept.idle();
    },
  };
}

/** The snapshots that can be read; the others are logged and counted. */
async function readSnapshots(files: StateFiles, metrics: AgentMetrics, log: Logger): Promise<readonly Snapshot[]> {
  const { good, refused } = await files.snapshots();
  for (const { file, error } of refused) {
    metrics.refusedFile(file);
    log.warn("Snapshot refused", { file, error });
  }
  return good;
}

/** None when the file cannot be read, which is logged and counted. */
async function readKeptPolicies(
  files: StateFiles,
  metrics: AgentMetrics,
  log: Logger,
): Promise<readonly HashedRecord[]> {
  const kept = await files.keptPolicies();
  if (!("error" in kept)) return kept;
  metrics.refusedFile(kept.file);
  log.warn("Kept policies refused", { file: kept.file, error: kept.error });
  return [];
}

function podsOptions(args: Arguments): PodsOptions {
  return {
    nodeRoot: args.nodeRoot,
    socketPath: args.cniSocket,
    cniBinDir: args.cniBinDir,
    cniConfDir: args.cniConfDir,
    pluginPath: args.cniPlugin,
    stateDir: args.stateDir,
  };
}
