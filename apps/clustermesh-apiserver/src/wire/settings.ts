/**
 * The settings, health, and which instance publishes. Waits for the first settings with the cluster's name and id; until then
 * both ports answer calls with what is missing.
 */
import { randomBytes } from "node:crypto";
import { startHealth, startMetrics } from "@isthmus/observe";
import { createLeadership, type Leadership } from "../leader/leadership.js";
import type { Parts } from "../process/parts.js";
import { type AdminAuth, createAdminAuth } from "../serve/admin/admin-auth.js";
import { startUnnamedServers } from "../serve/unnamed-servers.js";
import { type ConfigSource, createConfigSource, whenConfig } from "../settings/config-source.js";
import type { MeshConfig } from "../settings/mesh-config.js";
import type { Base } from "./base.js";

export interface Settings extends Pick<MeshConfig, "cluster" | "id"> {
  /** Started already; `current` has a name and an id. */
  readonly settings: ConfigSource;
  /** Started already. */
  readonly leadership: Leadership;
  /** Of the admin API; closed with the parts. */
  readonly auth: AdminAuth;
  /** What /readyz calls; the local cluster sets its `kubernetes`. */
  readonly readiness: Readiness;
}

export interface Readiness {
  /** Why Kubernetes cannot be followed; undefined when it can. */
  kubernetes: () => string | undefined;
}

/** Resolves with the first settings that have a name and an id. Rejects when aborted. */
export async function startSettings(base: Base, parts: Parts): Promise<Settings> {
  const { args, log, clock, metrics, client } = base;
  const { instance, namespace } = args;
  const leadership = createLeadership(
    { namespace, instance, identity: `${instance}_${randomBytes(4).toString("hex")}` },
    { client, clock, log: log.child("lease"), metrics },
  );
  const settings = createConfigSource({ namespace }, { client, clock, log: log.child("config") });
  const readiness: Readiness = { kubernetes: () => "Starting" };
  const ready = [
    // Any settings in force make the process ready, even when the newest mesh-config is unusable.
    { name: "settings", check: () => (settings.current === undefined ? settings.problem : undefined) },
    { name: "kubernetes", check: () => readiness.kubernetes() },
    // Never fails: an instance that does not publish is ready, and shows the reason as detail.
    { name: "leader", check: () => undefined, detail: () => leadership.explanation },
  ];
  parts.keep(await startHealth({ address: args.health }, { metrics, ready }), (health) => health.close());
  if (args.metricsAddress !== undefined)
    parts.keep(await startMetrics(args.metricsAddress, metrics), (server) => server.close());
  parts.start(settings);
  const auth = parts.keep(createAdminAuth({ client, clock }), (each) => each.close());
  const { cluster, id } = await awaitCluster(base, { settings, auth }, parts.signal);
  parts.start(leadership);
  return { settings, leadership, auth, readiness, cluster, id };
}

async function awaitCluster(
  { args, tls }: Base,
  { settings, auth }: Pick<Settings, "settings" | "auth">,
  signal: AbortSignal,
): Promise<MeshConfig> {
  await whenConfig(settings, () => settings.judged || undefined, signal);
  if (settings.current !== undefined) return settings.current;
  const close = await startUnnamedServers(args, { tls, auth, problem: () => settings.problem ?? "Starting" });
  return whenConfig(settings, () => settings.current, signal).finally(close);
}
