/**
 * The parts of clustermesh-apiserver, built in order; returns when the signal aborts and everything has ended.
 *
 *   settings ─► own cluster ─► stream to agents            all that a local change needs
 *            ─► MeshCluster, store ─► publisher, peers     may be missing or broken: nothing above waits for it
 *            ─► admin
 */
import { setMaxListeners } from "node:events";
import { createEventRecorder, createKubeClient, createTransport, loadKubeAccess } from "@isthmus/kube";
import { systemClock } from "@isthmus/model";
import { createMetrics, type Logger, startHealth } from "@isthmus/observe";
import type { Arguments } from "./arguments.js";
import { createLastGood } from "./cluster/last-good.js";
import { createOwnSource } from "./cluster/own-source.js";
import { createConfigSource } from "./config/config-source.js";
import { firstEpoch } from "./config/first-epoch.js";
import { createMesh } from "./config/mesh.js";
import { createServiceCidrs } from "./config/service-cidrs.js";
import { createAdminAuth } from "./serve/admin-auth.js";
import { startAdminServer } from "./serve/admin-server.js";
import { createAgentRegistry } from "./serve/agent-registry.js";
import { createSourceSet } from "./serve/source-set.js";
import { createStreamHub } from "./serve/stream-hub.js";
import { startStreamServer } from "./serve/stream-server.js";
import { watchTlsFiles } from "./serve/tls-files.js";

const MAX_SNAPSHOTS = 32;
const MAX_AGENTS = 10_000;
const DRAIN_MS = 2000;

export async function runApiserver(args: Arguments, log: Logger, signal: AbortSignal): Promise<void> {
  const { instance, namespace } = args;
  // Every part of the process follows this one signal.
  setMaxListeners(0, signal);
  const clock = systemClock;
  const metrics = createMetrics({ process: true });
  const tls = watchTlsFiles(args.tlsDir, log.child("tls"));
  const transport = createTransport(loadKubeAccess({ ...(args.kubeconfig && { kubeconfig: args.kubeconfig }) }));
  const client = createKubeClient(transport);
  const background: Promise<void>[] = [];
  const failed = new AbortController();
  const run = (part: { run(signal: AbortSignal): Promise<void> }) =>
    void background.push(part.run(signal).catch((thrown: unknown) => failed.abort(thrown)));
  log.info("Starting", { instance, kubernetes: transport.server });

  const settings = createConfigSource({ namespace }, { transport, clock, log: log.child("config") });
  let problem: () => string | undefined = () => undefined;
  const ready = [
    { name: "settings", check: () => settings.problem },
    { name: "kubernetes", check: () => problem() },
  ];
  const health = await startHealth({ address: args.health }, { metrics, ready });
  run(settings);
  const config = await settings.first(signal);
  const { cluster, id } = config;

  const events = createEventRecorder(
    { controller: "isthmus.io/clustermesh-apiserver", instance },
    { client, log: log.child("events") },
  );
  const own = createOwnSource(
    { cluster, epoch: await firstEpoch(client, cluster, clock, signal) },
    {
      client,
      clock,
      log: log.child("cluster"),
      events,
      lastGood: createLastGood(),
      readEpoch: (reading) => mesh.readEpoch(reading),
      keepEpoch: (epoch) => mesh.keepEpoch(epoch),
    },
  );
  problem = () => own.problem;
  const serviceCidrs = createServiceCidrs({ transport, clock, log: log.child("config"), settings });
  serviceCidrs.onChange((cidrs) => own.setServiceCidrs(cidrs));
  const sources = createSourceSet(own.stream);
  const agents = createAgentRegistry(clock);
  const mesh = createMesh(
    { cluster, id, podCidrs: config.podCidrs, namespace, instance },
    { client, clock, log, metrics, own, sources, agents, serviceCidrs, settings },
  );
  for (const part of [own, serviceCidrs, mesh]) run(part);

  const hub = createStreamHub(
    { maxSnapshots: MAX_SNAPSHOTS, maxAgents: MAX_AGENTS },
    { sources, agents, clock, log: log.child("serve"), metrics },
  );
  const servers = () => settings.current?.servers ?? config.servers;
  const streaming = { address: args.listen, instance, cluster, clusterId: id };
  const stream = await startStreamServer(streaming, { hub, tls, log: log.child("serve"), servers });
  const auth = createAdminAuth({ client, clock });
  const admin = await startAdminServer(
    { address: args.admin, clusterId: id },
    { auth, tls, log: log.child("admin"), sources, status: () => mesh.report() },
  );
  log.info("Serving", { agents: args.listen, admin: args.admin, cluster, id });

  await ended(signal, failed.signal);
  log.info("Stopping", { agents: hub.size });
  hub.drain(DRAIN_MS);
  await Promise.all([stream.close(DRAIN_MS), admin.close(DRAIN_MS)]);
  hub.close();
  tls.close();
  auth.close();
  transport.close();
  await health.close();
  failed.signal.throwIfAborted();
  await Promise.all(background);
}

function ended(...signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of signals) {
      if (signal.aborted) resolve();
      else signal.addEventListener("abort", () => resolve(), { once: true });
    }
  });
}
