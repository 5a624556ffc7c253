/** Performs what the stream's core returns about sources: passes deltas on, counts refusals, logs what an operator reads. */
import type { Clock } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import type { Applier } from "./applier.js";
import type { MeshState } from "./desired/mesh-state.js";
import type { SyncCore, SyncEffect } from "./sync/core.js";
import { createRefusalLog } from "./sync/refusal-log.js";
import type { SourceDelta } from "./sync/source-types.js";

export interface SourceEffectsModules {
  /** Asked for the names of sources. */
  readonly core: Pick<SyncCore, "sources">;
  /** Learns the name of a cluster before each of its deltas. */
  readonly meshState: Pick<MeshState, "name">;
  /** Gets the deltas in the order of the effects. */
  readonly applier: Pick<Applier, "enqueue">;
  /** Real id of the local cluster. */
  readonly localClusterId: number;
  /** Paces the log lines of refusals. */
  readonly clock: Clock;
  /** Gets clusters that are in sync, removed, or behind, and refusals. */
  readonly log: Logger;
  /** Called for each refused or repaired message; `clusterId` as on the wire, it may be impossible. */
  readonly count: (clusterId: number, event: string) => void;
}

/** Performs the effects `count`, `behind` and `apply`; ignores the others. */
export function createSourceEffects(modules: SourceEffectsModules): (effect: SyncEffect) => void {
  const { core, meshState, applier, log } = modules;
  const refusals = createRefusalLog(modules);
  const nameOf = (clusterId: number): string | undefined => core.sources.get(clusterId)?.name;

  function apply(delta: SourceDelta): void {
    const cluster = nameOf(delta.clusterId) ?? "";
    const clusterId = delta.clusterId === 0 ? modules.localClusterId : delta.clusterId;
    meshState.name(delta.clusterId, cluster);
    if (delta.transition === "first")
      log.info("Cluster in sync", { cluster, clusterId, records: delta.upserts.length });
    if (delta.transition === "removed") log.info("Cluster removed", { clusterId, records: delta.deletes.length });
    applier.enqueue(delta);
  }

  function reportBehind(clusterId: number, behind: boolean): void {
    const cluster = nameOf(clusterId);
    if (!behind) log.info("The server has caught up with what this node applied", { cluster });
    else
      log.warn("The server is behind what this node applied; the cluster's last state stays until it has caught up", {
        cluster,
      });
  }

  return (effect) => {
    if (effect.is === "apply") apply(effect.delta);
    if (effect.is === "behind") reportBehind(effect.clusterId, effect.behind);
    if (effect.is === "count") {
      modules.count(effect.clusterId, effect.event);
      refusals.refused(effect.clusterId, effect.event);
    }
  };
}
