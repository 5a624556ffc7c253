/**
 * Publishes what this cluster exports, once it is known and there is a store; says how it stands.
 *
 * Waits for the own cluster to be in sync: what is not in the export set would be removed from the store.
 */
import { randomBytes } from "node:crypto";
import type { Clock, Prefix } from "@isthmus/model";
import type { Logger, Metrics } from "@isthmus/observe";
import type { PublisherStatus } from "@isthmus/proto";
import type { ExportSource } from "../cluster/export-source.js";
import { wirePrefix } from "../cluster/node-facts.js";
import { createPublisher, type Publisher } from "../publish/index.js";
import { VERSION } from "../version.js";
import type { SwapStore } from "./swap-store.js";

export interface PublishingOptions {
  readonly cluster: string;
  readonly id: number;
  readonly podCidrs: readonly Prefix[];
  readonly serviceCidrs: readonly Prefix[];
  readonly instance: string;
}

export interface PublishingModules {
  readonly store: SwapStore;
  readonly exported: ExportSource;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

export interface Publishing {
  status(): PublisherStatus;
  run(signal: AbortSignal): Promise<void>;
}

const LOOK_MS = 100;

export function createPublishing(options: PublishingOptions, modules: PublishingModules): Publishing {
  const { store, exported, clock, log, metrics } = modules;
  const { cluster, id, podCidrs, serviceCidrs } = options;
  let publisher: Publisher | undefined;

  function start(): Publisher {
    const config = {
      name: cluster,
      id,
      uid: exported.clusterUid,
      podCidrs: podCidrs.map(wirePrefix),
      serviceCidrs: serviceCidrs.map(wirePrefix),
      labelFilterDigest: Buffer.alloc(0),
      version: VERSION,
    };
    const { index } = exported;
    const source = { records: () => index.records(), onChange: index.onChange };
    // A process that comes back is another writer: what its predecessor had in flight must not count as its own.
    const instance = `${options.instance}-${randomBytes(4).toString("hex")}`;
    return createPublisher(
      { config, instance },
      { store, source, clock, log, metrics, kubeAgeMs: () => exported.kubeAgeMs(), epoch: () => exported.epoch },
    );
  }

  return {
    status: () => publisher?.status() ?? off(store.configured ? "Waiting for Kubernetes" : "No store is configured"),
    async run(signal) {
      while (!signal.aborted && (!store.configured || exported.index.announced === undefined))
        await clock.delay(LOOK_MS, signal).catch(() => undefined);
      if (signal.aborted) return;
      publisher = start();
      await publisher.run(signal);
    },
  };
}

function off(message: string): PublisherStatus {
  return { state: "Off", message, seq: 0n, revision: 0n, pending: 0, beatAgeMs: 0, storeId: Buffer.alloc(0) };
}
