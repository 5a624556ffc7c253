/**
 * The parts of clustermesh-apiserver, built in order; returns when the signal aborts and everything has ended.
 *
 *   settings ─► own cluster ─► stream to agents       what a local change needs: nothing below may stop it
 *            ─► MeshCluster ─► store: publisher, peers ─► admin
 */
import { createEventRecorder, createKubeClient, createTransport, loadKubeAccess } from "@isthmus/kube";
import { systemClock } from "@isthmus/model";
import { createMetrics, type Logger, startHealth } from "@isthmus/observe";
import type { Arguments } from "./arguments.js";
import { createLastGood } from "./cluster/last-good.js";
import { createOwnSource } from "./cluster/own-source.js";
import { createConfigSource } from "./config/config-source.js";
import { createServiceCidrWatch } from "./config/service-cidrs.js";
import { createAgentRegistry } from "./serve/agent-registry.js";
import { createStreamHub } from "./serve/stream-hub.js";
import { startStreamServer } from "./serve/stream-server.js";
import { watchTlsFiles } from "./serve/tls-files.js";
import { createSourceSet } from "./sources.js";

const MAX_SNAPSHOTS = 32;
const MAX_AGENTS = 10_000;
const DRAIN_MS = 2000;

export async function runApiserver(args: Arguments, log: Logger, signal: AbortSignal): Promise<void> {
  const clock = systemClock;
  const metrics = createMetrics({ process: true });
  const tls = watchTlsFiles(args.tlsDir, log.child("tls"));
  const transport = createTransport(
    loadKubeAccess(args.kubeconfig === undefined ? {} : { kubeconfig: args.kubeconfig }),
  );
  const client = createKubeClient(transport);
  const background: Promise<void>[] = [];
  const run = (part: { run(signal: AbortSignal): Promise<void> }) => void background.push(part.run(signal));
  log.info("Starting", { instance: args.instance, kubernetes: transport.server });

  const settings = createConfigSource({ namespace: args.namespace }, { transport, clock, log: log.child("config") });
  let problem: () => string | undefined = () => "Waiting for the settings";
  const ready = [
    { name: "settings", check: () => settings.problem },
    { name: "kubernetes", check: () => problem() },
  ];
  const health = await startHealth({ address: args.health }, { metrics, ready });
  run(settings);
  const config = await settings.first(signal);

  const events = createEventRecorder(
    { controller: "isthmus.io/clustermesh-apiserver", instance: args.instance },
    { client, log: log.child("events") },
  );
  const own = createOwnSource(
    { cluster: config.cluster, epoch: "" },
    {
      client,
      clock,
      log: log.child("cluster"),
      events,
      lastGood: createLastGood(),
      readEpoch: async () => "",
      keepEpoch: () => undefined,
    },
  );
  problem = () => own.problem;
  run(own);
  run(
    createServiceCidrWatch({
      transport,
      clock,
      log: log.child("config"),
      onChange: (cidrs) => own.setServiceCidrs(cidrs),
    }),
  );

  const sources = createSourceSet(own.stream);
  const agents = createAgentRegistry(clock);
  const hub = createStreamHub(
    { maxSnapshots: MAX_SNAPSHOTS, maxAgents: MAX_AGENTS },
    { sources, agents, clock, log: log.child("serve"), metrics },
  );
  const stream = await startStreamServer(
    { address: args.listen, instance: args.instance, cluster: config.cluster, clusterId: config.id },
    { hub, tls, log: log.child("serve"), servers: () => settings.current?.servers ?? config.servers },
  );
  log.info("Serving agents", { address: args.listen, cluster: config.cluster, id: config.id });

  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  log.info("Stopping", { reason: (signal.reason as Error).message });
  hub.drain(DRAIN_MS);
  await stream.close(DRAIN_MS);
  hub.close();
  tls.close();
  await Promise.all([...background, health.close()]);
  transport.close();
}
