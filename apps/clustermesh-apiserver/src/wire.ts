/**
 * Builds the parts of clustermesh-apiserver in order and returns when all of them have ended. Shutdown begins when the signal
 * aborts. A process that already serves keeps serving for `shutdownDelayMs` first, so that agents miss nothing while its
 * replacement starts.
 *
 *   settings ─► local cluster ─► stream to agents            everything that a local change needs
 *            ─► MeshCluster, store ─► publisher, peers     may be missing or broken: nothing above waits for them
 *            ─► admin
 */
import { randomBytes } from "node:crypto";
import { setMaxListeners } from "node:events";
import { createEventRecorder, createKubeClient, createTransport, loadKubeAccess } from "@isthmus/kube";
import { systemClock } from "@isthmus/model";
import { createMetrics, type Logger, startHealth, startMetrics } from "@isthmus/observe";
import type { Arguments } from "./arguments.js";
import { createLastGood } from "./cluster/feed/last-good.js";
import { createFeeds } from "./cluster/feeds.js";
import { createLastGoodWriter, readLastGood } from "./cluster/last-good-store.js";
import { createLocalSource } from "./cluster/local-source.js";
import { savedAnnotations } from "./cluster/services/annotations.js";
import { createHolderEvents } from "./leader/holder-events.js";
import { createLeadership } from "./leader/leadership.js";
import { firstEpoch } from "./membership/first-epoch.js";
import { createMesh } from "./membership/mesh.js";
import { createSourceSet } from "./ports/source-set.js";
import { type Close, closeParts } from "./process/close-parts.js";
import { type AdminAuth, createAdminAuth } from "./serve/admin/admin-auth.js";
import { startAdminServer } from "./serve/admin/admin-server.js";
import { appliedServices } from "./serve/admin/applied-services.js";
import { createAgentRegistry } from "./serve/agents/agent-registry.js";
import { listAgents } from "./serve/agents/agent-roll.js";
import { createStreamHub } from "./serve/agents/stream-hub.js";
import { startStreamServer } from "./serve/agents/stream-server.js";
import { reportCertificates, watchCertificates } from "./serve/grpc/certificates.js";
import { type TlsFiles, watchTlsFiles } from "./serve/grpc/tls-files.js";
import { startUnnamedServers } from "./serve/unnamed-servers.js";
import { createRangesSource } from "./settings/cluster-ranges.js";
import { type ConfigSource, createConfigSource, whenConfig } from "./settings/config-source.js";
import type { MeshConfig } from "./settings/mesh-config.js";
import { createHostPortEvents } from "./status/host-port-events.js";
import { watchLocalCluster } from "./status/local-metrics.js";
import { createServiceStatus } from "./status/service-status.js";
import { servicesWithoutClusterIp } from "./status/services-without-cluster-ip.js";

const MAX_SNAPSHOTS = 32;
const MAX_AGENTS = 10_000;
const DRAIN_MS = 2000;

export async function runApiserver(args: Arguments, log: Logger, signal: AbortSignal): Promise<void> {
  const life = new AbortController();
  // Every part of the process listens to this one signal, so the listener limit is off.
  setMaxListeners(0, life.signal);
  let serving = false;
  const stop = async () => {
    if (serving && args.shutdownDelayMs > 0) {
      log.info("Termination requested, serving until the shutdown delay ends", { ms: args.shutdownDelayMs });
      await systemClock.delay(args.shutdownDelayMs, life.signal).catch(() => undefined);
    }
    life.abort(signal.reason);
  };
  if (signal.aborted) life.abort(signal.reason);
  signal.addEventListener("abort", () => void stop(), { once: true });
  const closing: Close[] = [];
  const parts = {
    later: (close: Close) => closing.unshift(close),
    onServing: () => {
      serving = true;
    },
  };
  try {
    await start(args, log, life.signal, parts);
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
  } finally {
    life.abort();
    await closeParts(closing, log);
  }
}

interface Parts {
  /** Registers a part to close at shutdown; the newest is closed first. */
  later(close: Close): void;
  /** Called once agents and the admin API are served. */
  onServing(): void;
}

async function start(args: Arguments, log: Logger, signal: AbortSignal, { later, onServing }: Parts): Promise<void> {
  const { instance, namespace } = args;
  const clock = systemClock;
  const metrics = createMetrics({ process: true });
  const tls = watchTlsFiles(args.tlsDir, log.child("tls"));
  later(() => tls.close());
  const transport = createTransport(loadKubeAccess({ ...(args.kubeconfig && { kubeconfig: args.kubeconfig }) }));
  later(() => transport.close());
  const client = createKubeClient(transport);
  const failed = new AbortController();
  const run = (part: { run(signal: AbortSignal): Promise<void> }) => {
    const running = part.run(signal).catch((thrown: unknown) => failed.abort(thrown));
    later(() => running);
  };
  log.info("Starting", { instance, kubernetes: transport.server });

  const leadership = createLeadership(
    { namespace, instance, identity: `${instance}_${randomBytes(4).toString("hex")}` },
    { client, clock, log: log.child("lease"), metrics },
  );
  const settings = createConfigSource({ namespace }, { client, clock, log: log.child("config") });
  let problem: () => string | undefined = () => "Starting";
  const ready = [
    // Any settings in force make the process ready, even when the newest mesh-config is unusable.
    { name: "settings", check: () => (settings.current === undefined ? settings.problem : undefined) },
    { name: "kubernetes", check: () => problem() },
    // Never fails: an instance that does not publish is ready, and shows the reason as detail.
    { name: "leader", check: () => undefined, detail: () => leadership.explanation },
  ];
  const health = await startHealth({ address: args.health }, { metrics, ready });
  later(() => health.close());
  if (args.metricsAddress !== undefined) {
    const scraped = await startMetrics(args.metricsAddress, metrics);
    later(() => scraped.close());
  }
  run(settings);
  const auth = createAdminAuth({ client, clock });
  later(() => auth.close());
  const { cluster, id } = await awaitCluster(args, { settings, tls, auth }, signal);

  run(leadership);
  const recorder = createEventRecorder(
    { controller: "isthmus.io/clustermesh-apiserver", instance },
    { client, clock, log: log.child("events"), signal },
  );
  const events = createHolderEvents(recorder, { leadership, clock });
  const ranges = createRangesSource({ transport, clock, log: log.child("config"), settings });
  const lastGood = createLastGood(await readLastGood({ client, namespace, parse: savedAnnotations }, clock, signal));
  const feeds = createFeeds(ranges.current.podCidrs, { clock, lastGood });
  const own = createLocalSource(
    { cluster, epoch: await firstEpoch(client, cluster, clock, signal) },
    {
      client,
      clock,
      log: log.child("cluster"),
      events,
      feeds: feeds.all,
      readEpoch: (reading) => mesh.readEpoch(reading),
      saveEpoch: (epoch) => mesh.keepEpoch(epoch),
    },
  );
  problem = () => own.problem;
  ranges.follow(own.setRanges);
  const sources = createSourceSet(own.stream);
  const nodes = () => (own.inSync ? feeds.nodes.known : undefined);
  const agents = createAgentRegistry(clock, (node) => nodes()?.get(node) !== undefined);
  const mesh = createMesh(
    { cluster, id, namespace, instance, budget: args.budget },
    { client, clock, log, metrics, local: own, nodes, sources, agents, ranges, settings, events, leadership },
  );
  const keepLastGood = createLastGoodWriter(namespace, lastGood, {
    ...{ client, clock, leadership },
    log: log.child("config"),
  });
  watchLocalCluster(metrics, own, feeds.services.services);
  const certificates = () => ({
    ...{ server: tls.certificate, ca: tls.ca },
    ...{ store: mesh.storeCertificate, "store-ca": mesh.storeCa },
  });
  watchCertificates(metrics, certificates);
  const serviceStatus = createServiceStatus({
    sources,
    services: feeds.services.services,
    events,
    client,
    clock,
    log: log.child("status"),
    leadership,
  });
  for (const part of [serviceStatus, own, ranges, mesh, keepLastGood]) run(part);

  const hub = createStreamHub(
    { maxSnapshots: MAX_SNAPSHOTS, maxAgents: MAX_AGENTS },
    { sources, agents, clock, log: log.child("serve"), metrics },
  );
  later(() => hub.close());
  const servers = () => settings.current?.servers ?? [];
  const streaming = { address: args.listen, instance, cluster, clusterId: id };
  // An agent reports to one instance only, so that instance writes the Events whether or not it holds the Lease.
  const onReport = createHostPortEvents({ events: recorder, clock });
  const serving = { hub, tls, clock, log: log.child("serve"), servers, onReport };
  const stream = await startStreamServer(streaming, serving);
  later(() => stream.close(DRAIN_MS));
  const admin = await startAdminServer(
    { address: args.admin, clusterId: id },
    {
      auth,
      tls,
      log: log.child("admin"),
      clock,
      metrics,
      sources,
      status: () => ({ ...mesh.report(), certificates: reportCertificates(certificates()) }),
      applied: () => {
        const { agents: all, nodes: counts } = listAgents(agents.reports(), nodes(), clock.now());
        return appliedServices({
          sources: sources.all,
          agents: counts.known ? all : undefined,
          applied: agents.applied,
        });
      },
      withoutClusterIp: (request) => servicesWithoutClusterIp(feeds.services.services, request),
    },
  );
  later(() => admin.close(DRAIN_MS));
  log.info("Serving", { agents: args.listen, admin: args.admin, cluster, id });
  onServing();

  await ended(signal, failed.signal);
  failed.signal.throwIfAborted();
  log.info("Stopping", { agents: hub.size });
  hub.drain(DRAIN_MS);
}

/** Waits for the first settings with the cluster's name and id; until then both ports answer calls with what is missing. */
async function awaitCluster(
  args: Arguments,
  { settings, tls, auth }: { readonly settings: ConfigSource; readonly tls: TlsFiles; readonly auth: AdminAuth },
  signal: AbortSignal,
): Promise<MeshConfig> {
  await whenConfig(settings, () => settings.judged || undefined, signal);
  if (settings.current !== undefined) return settings.current;
  const close = await startUnnamedServers(args, { tls, auth, problem: () => settings.problem ?? "Starting" });
  return whenConfig(settings, () => settings.current, signal).finally(close);
}

function ended(...signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of signals) {
      if (signal.aborted) resolve();
      else signal.addEventListener("abort", () => resolve(), { once: true });
    }
  });
}
