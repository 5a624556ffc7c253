/**
 * The local cluster as a source: Services, EndpointSlices and Nodes of its Kubernetes API → records with a position.
 *
 *   list-watches ──► facts ──► local records ──► index (local agents) and export index (publisher)
 *
 * Nothing is emitted before all three types are in sync. The position is one resource version per type. After a restore of
 * Kubernetes everything is listed again by quorum, and the position gets a new store id.
 */
import { randomBytes } from "node:crypto";
import type { EventRecorder, KubeClient } from "@isthmus/kube";
import type { Clock, ClusterName, Prefix, ServiceName } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { type Position, SourceStatus } from "@isthmus/proto";
import { createSourceIndex, localPosition, STALE_MS, sameBytes } from "@isthmus/records";
import { createEmitter, retry } from "@isthmus/runtime";
import type { StreamSource } from "../ports/stream-source.js";
import { createApiHeartbeat } from "./api-heartbeat.js";
import type { LastGood } from "./feed/last-good.js";
import { createFloorClaims, MAX_LOST_REVISIONS } from "./floor-claims.js";
import type { LocalExports } from "./local-exports.js";
import { createLocalRecords } from "./local-records.js";
import { createLocalWatches } from "./local-watches.js";
import { createLocalNodes, type KnownNode } from "./nodes/local-nodes.js";
import { reportNotes } from "./report-notes.js";
import type { LocalServices } from "./services/local-services.js";
import { localStoreId } from "./store-id.js";

export interface LocalSourceOptions {
  readonly cluster: ClusterName;
  /** Pod ranges; backends outside them are not exported. Undefined: not known yet. */
  readonly podCidrs: readonly Prefix[] | undefined;
  /** The epoch saved in Kubernetes; "" when there is none. */
  readonly epoch: string;
}

export interface LocalSourceModules {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly events: EventRecorder;
  readonly lastGood: LastGood;
  /** Reads the saved epoch by quorum. */
  readonly readEpoch: (signal: AbortSignal) => Promise<string>;
  /** Saves a new epoch; retries by itself. */
  readonly saveEpoch: (epoch: string) => void;
}

export interface LocalSource {
  readonly stream: StreamSource;
  readonly exported: LocalExports;
  readonly services: LocalServices;
  /** Undefined until Nodes have been read. */
  readonly nodes: ReadonlyMap<string, KnownNode> | undefined;
  readonly inSync: boolean;
  /** Number of agents' floors since the start that were beyond Kubernetes and refused as evidence of a restore. */
  readonly refusedFloors: number;
  /** Why Kubernetes cannot be followed; undefined when it can. */
  readonly problem: string | undefined;
  /** A range that is undefined stays unchanged. */
  setRanges(ranges: { readonly podCidrs?: readonly Prefix[]; readonly serviceCidrs?: readonly Prefix[] }): void;
  run(signal: AbortSignal): Promise<void>;
}

/** A refused floor is compared again after this time: Kubernetes may reach it by then. */
const REFUSED_RETRY_MS = 30_000;

export function createLocalSource(options: LocalSourceOptions, modules: LocalSourceModules): LocalSource {
  const { client, clock, log } = modules;
  const index = createSourceIndex();
  const exportIndex = createSourceIndex();
  const records = createLocalRecords(modules.lastGood, options.podCidrs);
  const stateChanges = createEmitter();
  const serviceChanges = createEmitter<readonly ServiceName[]>();
  let { epoch } = options;
  let status = SourceStatus.SOURCE_STATUS_SYNCING;
  let restoring: Promise<void> | undefined;

  const nodes = createLocalNodes(clock);
  const claims = createFloorClaims(clock);
  const heartbeat = createApiHeartbeat({ client, clock, log, onUid: changedUid });
  const watches = createLocalWatches({
    transport: client.transport,
    clock,
    log,
    records,
    nodes,
    onChange: applyChanges,
    onRestored: () => void restored(),
  });

  /** Applies all changes to both indexes under one position. */
  function applyChanges(observedMicros: number): void {
    if (heartbeat.uid === undefined || !watches.inSync || restoring !== undefined) return;
    const position = localPosition(localStoreId(heartbeat.uid, epoch), watches.versions());
    const { local: own, exported, notes, changed } = records.takeChanges();
    index.apply({ ...own, position, observedMicros });
    exportIndex.apply({ ...exported, position, observedMicros });
    // A new store id is announced at once, even without changed records.
    if (index.announced !== undefined && !sameBytes(index.announced.storeId, position.storeId)) index.since(position);
    reportNotes(notes, modules.events);
    if (changed.length > 0) serviceChanges.emit(changed);
    updateStatus();
  }

  function updateStatus(): void {
    const now = currentStatus();
    if (now === status) return;
    status = now;
    stateChanges.emit();
  }

  function currentStatus(): SourceStatus {
    if (index.announced === undefined) return SourceStatus.SOURCE_STATUS_SYNCING;
    return kubeAgeMs() > STALE_MS ? SourceStatus.SOURCE_STATUS_STALE : SourceStatus.SOURCE_STATUS_LIVE;
  }

  function kubeAgeMs(): number {
    const broken = watches.brokenSince();
    return Math.round(Math.max(heartbeat.ageMs(), broken === undefined ? 0 : clock.now() - broken));
  }

  function changedUid(uid: string): void {
    if (index.announced === undefined) applyChanges(clock.wallMicros());
    else if (!sameBytes(index.announced.storeId, localStoreId(uid, epoch))) void restored();
  }

  /** Starts one new epoch for all types, once each of them has been listed again. */
  function restored(): Promise<void> {
    restoring ??= watches.refresh().then(() => {
      restoring = undefined;
      epoch = randomBytes(8).toString("hex");
      modules.saveEpoch(epoch);
      log.warn("New epoch of the local cluster", { epoch });
      applyChanges(clock.wallMicros());
      stateChanges.emit();
    });
    return restoring;
  }

  /** An agent has another store id than the current one: the saved epoch, read by quorum, decides which is valid. */
  async function confirm(signal: AbortSignal): Promise<void> {
    const saved = await quorumEpoch(signal);
    await watches.refresh();
    await restoring;
    if (saved === epoch) return;
    epoch = saved;
    applyChanges(clock.wallMicros());
  }

  /** While there is no answer, the source stays withheld from the agent whose store id is unknown. */
  function quorumEpoch(signal: AbortSignal): Promise<string> {
    return retry(() => modules.readEpoch(signal), { minMs: 200, maxMs: 5000 }, { clock, signal });
  }

  async function catchUp(floor: Position, signal: AbortSignal, node = ""): Promise<void> {
    await clock.delay(claims.reserveListing(node), signal);
    const have = index.announced;
    if (have !== undefined && !sameBytes(have.storeId, floor.storeId)) return confirm(signal);
    for (;;) {
      const beyond = await watches.reach(floor.versions);
      await restoring;
      // This process detected a restore meanwhile: the new epoch is served.
      if (beyond.length === 0 || !sameBytes(index.announced?.storeId ?? floor.storeId, floor.storeId)) return;
      if (claims.judge(node, beyond) === "restored") return restored();
      log.warn("Agent floor refused: it is beyond Kubernetes and does not prove a restore", {
        node,
        beyond,
        limit: MAX_LOST_REVISIONS,
      });
      await clock.delay(REFUSED_RETRY_MS, signal);
    }
  }

  const exported: LocalExports = {
    index: exportIndex,
    get clusterUid() {
      return heartbeat.uid ?? "";
    },
    get epoch() {
      return epoch;
    },
    kubeAgeMs,
  };
  return {
    exported,
    stream: {
      clusterId: 0,
      cluster: options.cluster,
      index,
      // While everything is listed again after a restore, the index is not verified.
      isVerified: () => index.announced !== undefined && restoring === undefined,
      verifiesAbsence: () => true,
      state: () => ({ status: currentStatus(), hops: [{ hop: "kubernetes", ageMs: kubeAgeMs() }] }),
      onState: stateChanges.subscribe,
      catchUp,
      onServed: claims.markServed,
    },
    services: {
      get: records.service,
      all: records.allServices,
      onChange: serviceChanges.subscribe,
    },
    get nodes() {
      return index.announced === undefined ? undefined : nodes;
    },
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
      return index.announced === undefined ? "Reading Services, EndpointSlices and Nodes" : undefined;
    },
    setRanges({ podCidrs, serviceCidrs }) {
      if (podCidrs !== undefined) records.setPodCidrs(podCidrs);
      if (serviceCidrs !== undefined) records.setServiceCidrs(serviceCidrs);
      applyChanges(clock.wallMicros());
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
