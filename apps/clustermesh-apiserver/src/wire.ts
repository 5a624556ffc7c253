/**
 * The parts of clustermesh-apiserver in the order in which they start; they are closed in the reverse order.
 *
 *   settings ─► local cluster ─► stream to agents            everything that a local change needs
 *            ─► MeshCluster, store ─► publisher, peers     may be missing or broken: nothing above waits for them
 *            ─► admin
 */
import { systemClock } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { createMesh, type Mesh } from "./membership/mesh.js";
import { runParts } from "./process/parts.js";
import type { Arguments } from "./wire/arguments.js";
import { openBase } from "./wire/base.js";
import { createLocalCluster } from "./wire/local-cluster.js";
import { DRAIN_MS, serveAdmin, serveAgents } from "./wire/serving.js";
import { startSettings } from "./wire/settings.js";

/** Returns when all parts have ended, after the signal aborted or with the error of a part. */
export async function runApiserver(args: Arguments, log: Logger, signal: AbortSignal): Promise<void> {
  await runParts({ shutdownDelayMs: args.shutdownDelayMs }, { clock: systemClock, log, signal }, async (parts) => {
    const base = openBase(args, log, parts);
    const settings = await startSettings(base, parts);
    const epochs = {
      readEpoch: (reading: AbortSignal) => mesh.readEpoch(reading),
      saveEpoch: (epoch: string) => mesh.keepEpoch(epoch),
    };
    const local = await createLocalCluster(base, settings, epochs, parts.signal);
    const { cluster, id } = settings;
    const { namespace, instance, budget } = args;
    const mesh: Mesh = createMesh({ cluster, id, namespace, instance, budget }, { ...base, ...settings, ...local });
    for (const part of [
      local.serviceStatus,
      local.policyStatus,
      local.local,
      local.ranges,
      mesh,
      ...local.lastGoodWriters,
      local.healthAddresses,
      local.allocation,
      local.podAddresses,
    ])
      parts.start(part);
    const { hub, queries } = await serveAgents(base, settings, local, parts);
    await serveAdmin(base, settings, local, mesh, queries, parts);
    log.info("Serving", { agents: args.listen, admin: args.admin, cluster, id });
    parts.markServing();

    await parts.ended();
    log.info("Stopping", { agents: hub.size });
    hub.drain(DRAIN_MS);
  });
}
