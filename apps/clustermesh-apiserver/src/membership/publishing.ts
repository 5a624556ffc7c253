/**
 * Publishes this cluster's exports while a store is configured and this instance holds the Lease; reports the publishing state.
 *
 * Waits until the local cluster is in sync: the publisher deletes from the store what is not in the export set.
 */
import { randomBytes } from "node:crypto";
import { LABEL_FILTER_DIGEST } from "@isthmus/identity";
import type { Clock } from "@isthmus/model";
import type { Logger, Metrics } from "@isthmus/observe";
import type { ClusterConfig, PublisherStatus } from "@isthmus/proto";
import { sleep, VERSION } from "@isthmus/runtime";
import type { LocalExports } from "../cluster/local-source.js";
import { wirePrefix } from "../cluster/nodes/node-records.js";
import type { Leadership } from "../leader/leadership.js";
import { createPublisher, offStatus, type Publisher } from "../publish/index.js";
import { type ClusterRanges, isComplete, type RangesSource } from "../settings/cluster-ranges.js";
import type { ReloadableStore } from "../store/reloadable-store.js";

export interface PublishingOptions {
  /** Name of the local cluster, which its keys in the store contain. */
  readonly cluster: string;
  /** Published with the cluster's config. */
  readonly id: number;
  /** Name of this replica; each publisher adds a random suffix to it. */
  readonly instance: string;
}

export interface PublishingModules {
  /** Publishing waits until it is configured. */
  readonly store: ReloadableStore;
  /** Publishing waits until `index.announced` is set. */
  readonly exported: LocalExports;
  /** Publishing waits until both are known; a later change is published in the cluster's config. */
  readonly ranges: RangesSource;
  /** Paces the looks, every 100 ms, whether a publisher can start; passed to each publisher. */
  readonly clock: Clock;
  /** Passed to each publisher. */
  readonly log: Logger;
  /** Gets two gauges at once, and the metrics of each publisher. */
  readonly metrics: Metrics;
  /** A publisher runs from the acquisition of the Lease to its loss. */
  readonly leadership: Leadership;
}

export interface Publishing {
  /** That of the publisher that runs; without one it is Off, with the reason as its message. */
  status(): PublisherStatus;
  /** Resolves when aborted, after the publisher has ended. */
  run(signal: AbortSignal): Promise<void>;
}

const LOOK_MS = 100;

/** Starts no publisher before `run`. */
export function createPublishing(options: PublishingOptions, modules: PublishingModules): Publishing {
  const { store, exported, ranges, clock, log, metrics, leadership } = modules;
  const { cluster, id } = options;
  let publisher: Publisher | undefined;
  /** Keys restored by earlier publishers of this process. */
  let restored = 0;
  metrics.gauge("mesh_publish_pending_records", "Records that wait to be written", [], (gauge) =>
    gauge.set(publisher?.status().pending ?? 0),
  );
  metrics.gauge(
    "mesh_publish_restored_keys",
    "Published keys that were modified externally and restored",
    [],
    (gauge) => gauge.set(restored + (publisher?.restored ?? 0)),
  );

  ranges.follow((now) => publisher?.configure(configOf(now)));

  function configOf({ podCidrs = [], serviceCidrs = [] }: Partial<ClusterRanges>): ClusterConfig {
    return {
      name: cluster,
      id,
      uid: exported.clusterUid,
      podCidrs: podCidrs.map(wirePrefix),
      serviceCidrs: serviceCidrs.map(wirePrefix),
      labelFilterDigest: Buffer.from(LABEL_FILTER_DIGEST),
      version: VERSION,
    };
  }

  function start(): Publisher {
    const config = configOf(ranges.current);
    const { index } = exported;
    const source = { records: () => index.records(), onChange: index.onChange };
    // A restarted process is another writer: txns that its predecessor had in flight must not count as its own.
    const instance = `${options.instance}-${randomBytes(4).toString("hex")}`;
    return createPublisher(
      { config, instance },
      {
        ...{ store, source, clock, log, metrics },
        kubeAgeMs: () => exported.kubeAgeMs(),
        epoch: () => exported.epoch,
        hasLease: () => leadership.writes,
      },
    );
  }

  /** Why publishing cannot start; undefined when it can. */
  function waitingFor(): string | undefined {
    if (!store.configured) return "No store is configured";
    if (!leadership.publishes) return leadership.explanation;
    if (exported.index.announced === undefined) return "Waiting for Kubernetes";
    return isComplete(ranges.current) ? undefined : "Waiting for the cluster's ranges";
  }

  /** Runs one publisher from the acquisition of the Lease to its loss; the next acquisition starts another writer. */
  async function publishOnce(signal: AbortSignal): Promise<void> {
    const tenure = new AbortController();
    const end = () => tenure.abort();
    signal.addEventListener("abort", end, { once: true });
    const stopListening = leadership.onChange(() => {
      if (!leadership.publishes) end();
    });
    publisher = start();
    await publisher.run(tenure.signal);
    stopListening();
    signal.removeEventListener("abort", end);
    restored += publisher.restored;
    publisher = undefined;
  }

  return {
    status: () => publisher?.status() ?? offStatus(waitingFor() ?? "Starting"),
    async run(signal) {
      while (!signal.aborted) {
        if (waitingFor() === undefined) await publishOnce(signal);
        else await sleep(clock, LOOK_MS, signal);
      }
    },
  };
}
