/**
 * The local cluster as a source: Services, EndpointSlices and Nodes of its Kubernetes API → records with a position.
 *
 *   list-watches ──► facts ──► local records ──► index (own agents) and export index (publisher)
 *
 * Nothing is told before all three types are in sync. The position is one resource version per type; a restore of
 * Kubernetes is a new store id, after everything was read again by quorum.
 */
import { randomBytes } from "node:crypto";
import type { EventRecorder, KubeClient } from "@isthmus/kube";
import type { Clock, ClusterName, Prefix, ServiceName } from "@isthmus/model";
import { createBackoff, type Logger } from "@isthmus/observe";
import { type Position, SourceStatus } from "@isthmus/proto";
import { createSourceIndex, localPosition, sameBytes } from "@isthmus/records";
import type { StreamSource } from "../serve/stream-source.js";
import { createApiHeartbeat } from "./api-heartbeat.js";
import { createFloorClaims, MAX_LOST_REVISIONS } from "./floor-claims.js";
import type { LastGood } from "./last-good.js";
import type { LocalExports } from "./local-exports.js";
import { createLocalNodes, type KnownNode } from "./local-nodes.js";
import { createLocalRecords } from "./local-records.js";
import type { LocalServices } from "./local-services.js";
import { createLocalWatches } from "./local-watches.js";
import { reportNotes } from "./report-notes.js";
import { localStoreId } from "./store-id.js";

export interface LocalSourceOptions {
  readonly cluster: ClusterName;
  /** Backends outside these are not exported. Undefined: not known yet. */
  readonly podCidrs: readonly Prefix[] | undefined;
  /** The epoch that was kept; "" when none was. */
  readonly epoch: string;
}

export interface LocalSourceModules {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly events: EventRecorder;
  readonly lastGood: LastGood;
  /** The kept epoch by a quorum read. */
  readonly readEpoch: (signal: AbortSignal) => Promise<string>;
  /** Keeps a new epoch; retries by itself. */
  readonly keepEpoch: (epoch: string) => void;
}

export interface LocalSource {
  readonly stream: StreamSource;
  readonly exported: LocalExports;
  readonly services: LocalServices;
  /** Undefined before they were read. */
  readonly nodes: ReadonlyMap<string, KnownNode> | undefined;
  readonly inSync: boolean;
  /** Floors of agents that Kubernetes does not reach and that were not believed, since the start. */
  readonly refusedFloors: number;
  /** Sentence when Kubernetes cannot be followed; undefined when fine. */
  readonly problem: string | undefined;
  /** What is not known stays as it is. */
  setRanges(ranges: { readonly podCidrs?: readonly Prefix[]; readonly serviceCidrs?: readonly Prefix[] }): void;
  run(signal: AbortSignal): Promise<void>;
}

/** Beyond this age of the last contact the source is stale: agents keep everything and know it. */
const STALE_MS = 15_000;
/** A floor that was refused is looked for again: Kubernetes may get there. */
const REFUSED_RETRY_MS = 30_000;

export function createLocalSource(options: LocalSourceOptions, modules: LocalSourceModules): LocalSource {
  const { client, clock, log } = modules;
  const index = createSourceIndex();
  const exportIndex = createSourceIndex();
  const records = createLocalRecords(modules.lastGood, options.podCidrs);
  const stateListeners = new Set<() => void>();
  const serviceListeners = new Set<(services: readonly ServiceName[]) => void>();
  let { epoch } = options;
  let status = SourceStatus.SOURCE_STATUS_SYNCING;
  let restoring: Promise<void> | undefined;

  const nodes = createLocalNodes(clock);
  const claims = createFloorClaims(clock);
  const pulse = createApiHeartbeat({ client, clock, log, onUid: changedUid });
  const watches = createLocalWatches({
    transport: client.transport,
    clock,
    log,
    records,
    nodes,
    onChange: tell,
    onRestored: () => void restored(),
  });

  /** Everything that is new goes into both indexes under one position. */
  function tell(observedMicros: number): void {
    if (pulse.uid === undefined || !watches.inSync || restoring !== undefined) return;
    const position = localPosition(localStoreId(pulse.uid, epoch), watches.versions());
    const { own, exported, notes, changed } = records.flush();
    index.apply({ ...own, position, observedMicros });
    exportIndex.apply({ ...exported, position, observedMicros });
    // A new store id counts at once, with or without content.
    if (index.announced !== undefined && !sameBytes(index.announced.storeId, position.storeId)) index.since(position);
    reportNotes(notes, modules.events);
    if (changed.length > 0) for (const listener of [...serviceListeners]) listener(changed);
    updateStatus();
  }

  function updateStatus(): void {
    const now = currentStatus();
    if (now === status) return;
    status = now;
    for (const listener of [...stateListeners]) listener();
  }

  function currentStatus(): SourceStatus {
    if (index.announced === undefined) return SourceStatus.SOURCE_STATUS_SYNCING;
    return kubeAgeMs() > STALE_MS ? SourceStatus.SOURCE_STATUS_STALE : SourceStatus.SOURCE_STATUS_LIVE;
  }

  function kubeAgeMs(): number {
    const broken = watches.brokenSince();
    return Math.round(Math.max(pulse.ageMs(), broken === undefined ? 0 : clock.now() - broken));
  }

  function changedUid(uid: string): void {
    if (index.announced === undefined) tell(clock.wallMicros());
    else if (!sameBytes(index.announced.storeId, localStoreId(uid, epoch))) void restored();
  }

  /** One new epoch for all types, once each of them was read again. */
  function restored(): Promise<void> {
    restoring ??= watches.refresh().then(() => {
      restoring = undefined;
      epoch = randomBytes(8).toString("hex");
      modules.keepEpoch(epoch);
      log.warn("New epoch of the local cluster", { epoch });
      tell(clock.wallMicros());
      for (const listener of [...stateListeners]) listener();
    });
    return restoring;
  }

  /** Someone holds a store id that we do not know: what is kept decides, read by quorum. */
  async function confirm(signal: AbortSignal): Promise<void> {
    const kept = await quorumEpoch(signal);
    await watches.refresh();
    await restoring;
    if (kept === epoch) return;
    epoch = kept;
    tell(clock.wallMicros());
  }

  async function quorumEpoch(signal: AbortSignal): Promise<string> {
    const backoff = createBackoff({ minMs: 200, maxMs: 5000 });
    for (;;) {
      try {
        return await modules.readEpoch(signal);
      } catch {
        // No answer: the source stays withheld from who knows more.
        await clock.delay(backoff.nextMs(), signal);
      }
    }
  }

  async function catchUp(floor: Position, signal: AbortSignal, node = ""): Promise<void> {
    await clock.delay(claims.turn(node), signal);
    const have = index.announced;
    if (have !== undefined && !sameBytes(have.storeId, floor.storeId)) return confirm(signal);
    for (;;) {
      const beyond = await watches.reach(floor.versions);
      await restoring;
      // Restored by our own evidence meanwhile: the new epoch is what is to be served.
      if (beyond.length === 0 || !sameBytes(index.announced?.storeId ?? floor.storeId, floor.storeId)) return;
      if (claims.judge(node, beyond) === "restored") return restored();
      log.warn("Floor refused: Kubernetes does not reach it, and its node's word does not prove a restore", {
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
      return pulse.uid ?? "";
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
      // What is being read again after a restore proves nothing until it is in.
      proved: () => index.announced !== undefined && restoring === undefined,
      proves: () => true,
      state: () => ({ status: currentStatus(), hops: [{ hop: "kubernetes", ageMs: kubeAgeMs() }] }),
      onState(listener) {
        stateListeners.add(listener);
        return () => stateListeners.delete(listener);
      },
      catchUp,
      served: claims.served,
    },
    services: {
      get: records.service,
      all: records.allServices,
      onChange(listener) {
        serviceListeners.add(listener);
        return () => serviceListeners.delete(listener);
      },
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
        const why = pulse.problem === undefined ? "" : `: ${pulse.problem}`;
        return `No answer from the Kubernetes API for ${Math.round(kubeAgeMs() / 1000)} s${why}`;
      }
      return index.announced === undefined ? "Reading Services, EndpointSlices and Nodes" : undefined;
    },
    setRanges({ podCidrs, serviceCidrs }) {
      if (podCidrs !== undefined) records.podCidrs(podCidrs);
      if (serviceCidrs !== undefined) records.serviceCidrs(serviceCidrs);
      tell(clock.wallMicros());
    },
    async run(signal) {
      const watchState = setInterval(updateStatus, 1000);
      try {
        await Promise.all([pulse.run(signal), watches.run(signal)]);
      } finally {
        clearInterval(watchState);
      }
    },
  };
}
