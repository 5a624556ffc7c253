/**
 * All peers of this cluster as sources. In: the operator's MeshPeers. Out: one `RemoteSource` for each, kept until the process
 * ends; a removed one stays with status REMOVED, so that agents learn of the removal.
 */
import type { Store } from "@isthmus/kvstore";
import { type Clock, type ClusterName, formatPrefix } from "@isthmus/model";
import { createBreaker, type Logger, type Metrics } from "@isthmus/observe";
import { claimedAddresses, type HashedRecord, type PeerLimits, type SourceIndex } from "@isthmus/records";
import { createEmitter } from "@isthmus/runtime";
import { type AddressClaims, createAddressClaims, LOCAL } from "./address-claims.js";
import { type Admission, createAdmission } from "./admission.js";
import { type Budget, DEFAULT_BUDGET } from "./budget.js";
import { watchBudgets } from "./budget-metrics.js";
import { type LocalCluster, limitsOf, type PeerSpec, refusalOf } from "./peer.js";
import { type ControlledSource, createRemoteSource, type RemoteSource } from "./remote-source.js";
import { reviewOnChange } from "./review-queue.js";

export interface RemoteSourcesModules {
  /** The store of this cluster, with all peers in it; its owner closes it. */
  readonly store: Store;
  /** Shared by all sources: for ages, waits and propagation times. */
  readonly clock: Clock;
  /** Gets each reported change of a peer's status, with the name of the cluster. */
  readonly log: Logger;
  /** Absent: nothing is measured. */
  readonly metrics?: Metrics;
  /** The local cluster's records: it takes precedence in every conflict about an address. */
  readonly localIndex: SourceIndex;
}

export interface RemoteSources {
  /** Sets the wanted peers, in the order of creation of their objects. Peers that are absent are removed. */
  update(peers: readonly PeerSpec[]): void;
  /** Replaces the ranges of the local cluster, which no peer may claim. */
  setLocalRanges(ranges: Pick<LocalCluster, "podCidrs" | "serviceCidrs">): void;
  /** Followed peers, then removed ones whose id no other peer has. */
  list(): readonly RemoteSource[];
  /** By the peer's id, a removed peer included; undefined for an id that no peer has. */
  get(clusterId: number): RemoteSource | undefined;
  /** Called when a source was added or removed, or its status changed. */
  onStatus(listener: (source: RemoteSource) => void): () => void;
  /** Follows the peers, also those of later updates, until the signal aborts; called once. */
  run(signal: AbortSignal): Promise<void>;
}

interface Followed {
  readonly peer: PeerSpec;
  readonly admission: Admission;
  readonly source: ControlledSource;
  /** What it may claim, as text, to notice a change. */
  readonly limits: string;
}

export interface RemoteSourcesSettings {
  /** Allows a store that does not authenticate its writers (tests, a private store). */
  readonly allowOpenStore?: boolean;
  /** Records and bytes that are accepted from each peer; DEFAULT_BUDGET when absent. */
  readonly budget?: Budget;
}

/** Without peers before `update`; registers the local cluster's addresses at once. */
export function createRemoteSources(
  initial: LocalCluster,
  modules: RemoteSourcesModules,
  settings: RemoteSourcesSettings = {},
): RemoteSources {
  const followed = new Map<ClusterName, Followed>();
  const removed = new Map<number, ControlledSource>();
  const statusReports = createEmitter<RemoteSource>();
  const claims = createAddressClaims();
  const controller = new AbortController();
  const breaker = createBreaker({ name: "the store", timeoutMs: 3000 });
  let local = initial;
  let wantedPeers: readonly PeerSpec[] = [];
  let started = false;

  const notify = (source: RemoteSource): void => {
    statusReports.emit(source);
  };
  reviewOnChange(claims, (id, keys) => {
    for (const { peer, source } of followed.values()) if (peer.id === id) source.judgeAgain(keys);
  });
  followLocal(modules.localIndex, claims);

  function add(peer: PeerSpec, peers: readonly PeerSpec[]): void {
    const [limits, refusal] = [limitsOf(peer, local, peers), refusalOf(peer, local, peers)];
    const admission = createAdmission(limits, claims);
    const { store, clock, log, metrics } = modules;
    const { cluster, id } = peer;
    const source = createRemoteSource(
      { cluster, id, ...settings },
      { store, admission, breaker, clock, log, ...(metrics && { metrics }) },
    );
    source.onStatus(() => notify(source));
    followed.set(peer.cluster, { peer, admission, source, limits: describe(limits) });
    removed.delete(peer.id);
    source.permit(peer.uid, refusal);
    if (started) source.start(controller.signal);
    notify(source);
  }

  function change(each: Followed, peer: PeerSpec, peers: readonly PeerSpec[]): void {
    const limits = limitsOf(peer, local, peers);
    followed.set(peer.cluster, { ...each, peer, limits: describe(limits) });
    if (describe(limits) !== each.limits) {
      each.admission.setLimits(limits);
      each.source.judgeAgain();
    }
    each.source.permit(peer.uid, refusalOf(peer, local, peers));
  }

  function remove({ peer, source }: Followed): void {
    followed.delete(peer.cluster);
    removed.set(peer.id, source);
    source.remove();
    notify(source);
  }

  function list(): RemoteSource[] {
    return [...[...followed.values()].map(({ source }) => source), ...removed.values()];
  }

  function update(wanted: readonly PeerSpec[]): void {
    wantedPeers = wanted;
    for (const each of [...followed.values()]) {
      const now = wanted.find(({ cluster }) => cluster === each.peer.cluster);
      if (now === undefined || now.id !== each.peer.id) remove(each);
    }
    // Peers already followed take precedence.
    const known = [...followed.keys()].flatMap((name) => wanted.find(({ cluster }) => cluster === name) ?? []);
    const peers = [...known, ...wanted.filter(({ cluster }) => !followed.has(cluster))];
    for (const peer of peers) {
      const each = followed.get(peer.cluster);
      if (each === undefined) add(peer, peers);
      else change(each, peer, peers);
    }
  }
  if (modules.metrics !== undefined) watchBudgets(modules.metrics, settings.budget ?? DEFAULT_BUDGET, list);

  return {
    update,
    setLocalRanges({ podCidrs, serviceCidrs }) {
      local = { ...local, podCidrs, serviceCidrs };
      update(wantedPeers);
    },
    list,
    get: (clusterId) => list().find(({ id }) => id === clusterId),
    onStatus: statusReports.subscribe,
    async run(signal) {
      started = true;
      for (const { source } of followed.values()) source.start(controller.signal);
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener("abort", () => resolve(), { once: true });
      });
      controller.abort();
      breaker.close();
    },
  };
}

function describe({ podCidrs, excludedCidrs }: PeerLimits): string {
  return JSON.stringify([podCidrs.map(formatPrefix), excludedCidrs.map(formatPrefix)]);
}

/** Keeps the local cluster's claims: addresses of its nodes and endpoints. */
function followLocal(index: SourceIndex, claims: AddressClaims): void {
  const claim = (record: HashedRecord): void => claims.set(LOCAL, record.key, claimedAddresses(record));
  for (const record of index.records()) claim(record);
  index.onChange(({ upserts, deletes }) => {
    for (const record of upserts) claim(record);
    for (const { key } of deletes) claims.set(LOCAL, key, []);
  });
}
