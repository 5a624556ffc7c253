/**
 * The local cluster as a source: the watched resources of its Kubernetes API → records with a position.
 *
 *   list-watches ──► feeds ──► records ──► index (local agents) and export index (publisher)
 *
 * Nothing is emitted before all types are in sync. The position is one resource version per type. After a restore of Kubernetes
 * everything is listed again by quorum, and the position gets a new store id; local-state.ts decides when.
 */
import { randomBytes } from "node:crypto";
import type { EventRecorder, KubeClient } from "@isthmus/kube";
import type { Clock, ClusterName } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { PeerState } from "@isthmus/proto";
import { createSourceIndex, localPosition, type SourceIndex, STALE_MS, sameBytes } from "@isthmus/records";
import { createEmitter } from "@isthmus/runtime";
import type { StreamSource } from "../ports/stream-source.js";
import { createApiHeartbeat } from "./api-heartbeat.js";
import { createCatchUp } from "./catch-up.js";
import type { Feed, LocalSettings } from "./feed/feed.js";
import { createFloorClaims } from "./floor-claims.js";
import { createLocalRecords } from "./local-records.js";
import { type LocalEffect, type LocalEvent, type LocalState, localStep } from "./local-state.js";
import { createLocalWatches } from "./local-watches.js";
import { localStoreId } from "./store-id.js";

export interface LocalSourceOptions {
  /** Sent to agents as the name of the source. */
  readonly cluster: ClusterName;
  /** The epoch saved in Kubernetes; "" when there is none. */
  readonly epoch: string;
}

export interface LocalSourceModules {
  /** Reads the kube-system namespace; its transport carries the list-watches. */
  readonly client: KubeClient;
  /** Its wall clock dates changes; its monotonic time measures the age of contacts. */
  readonly clock: Clock;
  /** Gets new epochs, refused floors, and what happens to the list-watches. */
  readonly log: Logger;
  /** Gets each new note as an Event, after the records are in the indexes. */
  readonly events: EventRecorder;
  /** Each watched resource once. From now on only the source passes changes to them and takes theirs. */
  readonly feeds: readonly Feed[];
  /** Reads the saved epoch by quorum. */
  readonly readEpoch: (signal: AbortSignal) => Promise<string>;
  /** Saves a new epoch; retries by itself. */
  readonly saveEpoch: (epoch: string) => void;
}

/**
 * The records that this cluster exports, and their changes: the input of the publisher.
 *
 * `index.announced` is undefined until the local cluster is in sync: nothing may be written to or deleted from the store
 * before.
 */
export interface LocalExports {
  /** Only the records that other clusters may read. */
  readonly index: SourceIndex;
  /** uid of the kube-system namespace. */
  readonly clusterUid: string;
  /** The epoch of the local cluster and its identity allocator, for `head.epoch`; changes after a restore of Kubernetes. */
  readonly epoch: string;
  /** Age of the last contact with Kubernetes, for `head.kube_age_ms`. */
  kubeAgeMs(): number;
}

export interface LocalSource {
  /** For this cluster's agents. */
  readonly stream: StreamSource;
  /** For the publisher. */
  readonly exported: LocalExports;
  /** Every type has been listed, and the records were applied. */
  readonly inSync: boolean;
  /** Number of agents' floors since the start that were beyond Kubernetes and refused as evidence of a restore. */
  readonly refusedFloors: number;
  /** Why Kubernetes cannot be followed; undefined when it can. */
  readonly problem: string | undefined;
  /** Applies the records that depend on the settings: at once while Following, else with all others. */
  configure(settings: LocalSettings): void;
  /** Resolves when aborted. Rejects only for an internal error. */
  run(signal: AbortSignal): Promise<void>;
}

/** Follows nothing before `run`. */
export function createLocalSource(options: LocalSourceOptions, modules: LocalSourceModules): LocalSource {
  const { client, clock, log, feeds } = modules;
  const index = createSourceIndex();
  const exportIndex = createSourceIndex();
  const records = createLocalRecords(feeds);
  const stateChanges = createEmitter();
  let state: LocalState = { phase: "Syncing", uid: undefined, epoch: options.epoch };
  let status = PeerState.PEER_STATE_SYNCING;
  let relisting: Promise<void> | undefined;

  const heartbeat = createApiHeartbeat({
    ...{ client, clock, log },
    onUid: (uid) => take({ type: "identified", uid, inSync: watches.inSync }),
  });
  const watches = createLocalWatches({
    ...{ transport: client.transport, clock, log, feeds },
    onChange: (observedMicros) => take({ type: "changed", inSync: watches.inSync }, observedMicros),
    onRestored: () => take({ type: "restored" }),
  });
  const claims = createFloorClaims(clock);
  const effects: Readonly<Record<LocalEffect, (observedMicros: number) => void>> = {
    apply: applyChanges,
    relist: () => void relist(),
    save: saveEpoch,
    report: () => stateChanges.emit(),
  };

  function take(event: LocalEvent, observedMicros = clock.wallMicros()): void {
    const step = localStep(state, event);
    state = step.state;
    for (const effect of step.effects) effects[effect](observedMicros);
  }

  /** Applies all changes to both indexes under one position. */
  function applyChanges(observedMicros: number): void {
    const position = localPosition(localStoreId(state.uid ?? "", state.epoch), watches.versions());
    const { local, exported, notes } = records.takeChanges();
    index.apply({ ...local, position, observedMicros });
    exportIndex.apply({ ...exported, position, observedMicros });
    // A new store id is announced at once, even without changed records.
    if (index.announced !== undefined && !sameBytes(index.announced.storeId, position.storeId)) index.since(position);
    for (const note of notes) modules.events.report(note);
    records.applied();
    updateStatus();
  }

  function relist(): Promise<void> {
    relisting = watches.refresh().then(() => {
      relisting = undefined;
      take({ type: "relisted", epoch: randomBytes(8).toString("hex") });
    });
    return relisting;
  }

  function saveEpoch(): void {
    modules.saveEpoch(state.epoch);
    log.warn("New epoch of the local cluster", { epoch: state.epoch });
  }

  function updateStatus(): void {
    const now = currentStatus();
    if (now === status) return;
    status = now;
    stateChanges.emit();
  }

  function currentStatus(): PeerState {
    if (index.announced === undefined) return PeerState.PEER_STATE_SYNCING;
    return kubeAgeMs() > STALE_MS ? PeerState.PEER_STATE_STALE : PeerState.PEER_STATE_IN_SYNC;
  }

  function kubeAgeMs(): number {
    const broken = watches.brokenSince();
    return Math.round(Math.max(heartbeat.ageMs(), broken === undefined ? 0 : clock.now() - broken));
  }

  const stream: StreamSource = {
    clusterId: 0,
    cluster: options.cluster,
    index,
    isVerified: () => index.announced !== undefined && state.phase !== "Relisting",
    verifiesAbsence: () => true,
    state: () => ({ status: currentStatus(), hops: [{ hop: "kubernetes", ageMs: kubeAgeMs() }] }),
    onState: stateChanges.subscribe,
    catchUp: createCatchUp({
      ...{ clock, log, claims, watches, readEpoch: modules.readEpoch },
      storeId: () => index.announced?.storeId,
      onConfirmed: (epoch) => take({ type: "confirmed", epoch }),
      onRestored: () => take({ type: "restored" }),
      whenRelisted: async () => relisting,
    }),
    onServed: claims.markServed,
  };
  const exported: LocalExports = {
    index: exportIndex,
    get clusterUid() {
      return state.uid ?? "";
    },
    get epoch() {
      return state.epoch;
    },
    kubeAgeMs,
  };
  return {
    stream,
    exported,
    get inSync() {
      return index.announced !== undefined;
    },
    get refusedFloors() {
      return claims.refused;
    },
    get problem() {
      if (kubeAgeMs() > STALE_MS) {
        const why = heartbeat.problem === undefined ? "" : `: ${heartbeat.problem}`;
        return `No answer from the Kubernetes API for ${Math.round(kubeAgeMs() / 1000)} s${why}`;
      }
      return index.announced === undefined ? `Reading ${watches.missing || "namespace kube-system"}` : undefined;
    },
    configure(settings) {
      records.configure(settings);
      take({ type: "changed", inSync: watches.inSync });
    },
    async run(signal) {
      const watchState = setInterval(updateStatus, 1000);
      try {
        await Promise.all([heartbeat.run(signal), watches.run(signal)]);
      } finally {
        clearInterval(watchState);
      }
    },
  };
}
