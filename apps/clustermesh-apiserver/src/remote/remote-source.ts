/**
 * One peer as a source: performs the effects of the reader's state machine and applies its changes to an index.
 *
 * Listings, watches and probes do not use the circuit breaker, since the state machine backs off by itself. `confirmStore`,
 * which a client triggers, does.
 */
import { type Store, storeError, type WatchMessage } from "@isthmus/kvstore";
import type { Clock, ClusterId, ClusterName } from "@isthmus/model";
import { type Breaker, LATENCY_BUCKETS_SECONDS, type Logger, type Metrics } from "@isthmus/observe";
import type { Kind, PeerState, SourceReport } from "@isthmus/proto";
import { createSourceIndex, type SourceIndex, sameBytes } from "@isthmus/records";
import { createEmitter } from "@isthmus/runtime";
import type { Admission } from "./admission.js";
import type { NewReaderEvent, ReaderEffect, ReaderEvent } from "./events.js";
import { type Usage, usageOf } from "./over-budget.js";
import { createPeerStore, type PeerStore, type PeerStoreOptions } from "./peer-store.js";
import { beatAgeMs, isVerified, peerState, sourceReport, verifiesAbsence } from "./report.js";
import { createStatusReports } from "./status-reports.js";
import { createReaderState, step } from "./step.js";

export interface RemoteSource {
  /** The peer's name, by its MeshPeer. */
  readonly cluster: ClusterName;
  /** The peer's id; agents know the source by it. */
  readonly id: ClusterId;
  /** The accepted records; empty after the peer's removal. */
  readonly index: SourceIndex;
  /** As of this call: a source becomes stale by time alone. */
  status(): PeerState;
  /** True when the index matches the sums of a LIVE head: only then may a Mark be sent or absence mean deletion. */
  isVerified(): boolean;
  /** True when `isVerified()` covers this kind: a publisher of an older version has no sums of kinds that it does not know. */
  verifiesAbsence(kind: Kind): boolean;
  /** As of this call, for the MeshPeer and `mesh status`. */
  report(): SourceReport;
  /** What is kept of the peer, refused records included. */
  usage(): Usage;
  /** Milliseconds since the peer's head last changed, and the age of its contact with its Kubernetes API as the head reports it. */
  ages(): { readonly beatMs: number; readonly kubeMs: number };
  /**
   * For a client whose position is of a store that this source does not know: reads the store's id by quorum.
   * "same": the store is the one that is served. "moved": it is another one and is being read; serve the source later.
   */
  confirmStore(): Promise<"same" | "moved">;
  /** Called after the status or `isVerified()` may have changed. */
  onStatus(listener: () => void): () => void;
}

export interface RemoteSourceModules {
  /** Shared by all peers; its owner closes it. */
  readonly store: Store;
  /** Of this peer alone; its owner changes the limits, then calls `judgeAgain`. */
  readonly admission: Admission;
  /** Used by `confirmStore` only; its owner closes it. */
  readonly breaker: Breaker;
  /** `now` is for ages and waits, `wallMicros` for propagation times and the difference of the clocks. */
  readonly clock: Clock;
  /** Gets each reported change of the status. */
  readonly log: Logger;
  /** Absent: propagation times and dropped events are not measured. */
  readonly metrics?: Metrics;
}

/** A source as `RemoteSources` controls it. */
export interface ControlledSource extends RemoteSource {
  /** Lists and follows the peer until the signal aborts or `remove`; called once. */
  start(signal: AbortSignal): void;
  /** Judges every record again, or only those with these keys. */
  judgeAgain(keys?: ReadonlySet<string>): void;
  /** Sets the peer's uid, and why it may not be followed (undefined: it may). */
  permit(uid: string, refusal: string | undefined): void;
  /** Deletes all records of the peer from the index; its status is REMOVED from then on. */
  remove(): void;
}

/** Does nothing before `start`. Throws for a name that no cluster can have. */
export function createRemoteSource(options: PeerStoreOptions, modules: RemoteSourceModules): ControlledSource {
  const { store, clock, admission } = modules;
  const log = modules.log.child("remote", { cluster: options.cluster });
  const peer = createPeerStore(options, store);
  const index = createSourceIndex();
  const { cluster, id, budget } = options;
  const state = createReaderState({ cluster, clusterId: id, admission, ...(budget && { budget }) });
  const statusChanges = createEmitter();
  const { propagation, dropped } = createReaderMetrics(modules.metrics);
  let signal: AbortSignal | undefined;
  let watch = new AbortController();
  let wake: NodeJS.Timeout | undefined;
  /** Numbers are never reused: a late result must not be taken for that of a newer stream or listing. */
  let [opens, listings] = [0, 0];
  /** One query at a time, however many agents report an unknown store id. */
  let confirming: Promise<"same" | "moved"> | undefined;
  const reports = createStatusReports(
    { clock, status: () => `${state.phase.status} ${peerState(state, clock.now())} ${isVerified(state)}` },
    reportStatus,
  );

  function dispatch(event: NewReaderEvent): void {
    if (signal?.aborted === true) return;
    const now = clock.now();
    const { overflows } = state;
    const effects = step(state, { ...event, now, wallMicros: clock.wallMicros() } as ReaderEvent);
    for (const effect of effects) perform(effect);
    if (state.overflows > overflows) dropped?.add({ cluster: options.cluster });
    reports.check();
  }

  function reportStatus(): void {
    const report = sourceReport(state, clock.now());
    log.info("Source status changed", { status: report.state, message: report.message });
    statusChanges.emit();
  }

  function perform(effect: ReaderEffect): void {
    switch (effect.type) {
      case "list":
        void readListing(++listings);
        break;
      case "watch":
        follow(effect.from);
        break;
      case "unwatch":
        watch.abort();
        break;
      case "check-store":
        void peer.check(effect.open).then(dispatch);
        break;
      case "probe":
        void peer.headRevision().then(
          (headRevision) => dispatch({ type: "probed", headRevision }),
          () => undefined, // unreachable: the source is already reported as stale
        );
        break;
      case "emit":
        emit(effect.change);
        break;
      case "wake":
        clearTimeout(wake);
        wake = setTimeout(() => dispatch({ type: "tick" }), effect.ms);
    }
  }

  function emit(change: Extract<ReaderEffect, { type: "emit" }>["change"]): void {
    const content = change.upserts.length + change.deletes.length > 0;
    if (content && change.observedMicros > 0) {
      const seconds = (clock.wallMicros() - change.observedMicros) / 1e6;
      propagation?.observe(Math.max(0, seconds), { stage: "store", cluster: options.cluster });
    }
    index.apply(change);
  }

  /** Only the newest listing counts: an earlier one may have read an earlier store. */
  async function readListing(number: number): Promise<void> {
    const answer = await peer.list(signal).catch((thrown: unknown): NewReaderEvent => {
      return { type: "list-failed", sentence: storeError(thrown, `list "${peer.prefix}" in the store`).message };
    });
    if (number === listings) dispatch(answer);
  }

  async function confirmStore(): Promise<"same" | "moved"> {
    const known = state.storeId;
    const { storeId, revision } = await modules.breaker.call(() => peer.storeId());
    if (known !== undefined && storeId !== undefined && sameBytes(known, storeId)) return "same";
    if (state.phase.status === "Following") {
      dispatch({ type: "store-checked", open: state.phase.open, storeId, revision });
    }
    return "moved";
  }

  function stop(): void {
    clearTimeout(wake);
    reports.close();
    watch.abort();
  }

  function follow(from: bigint): void {
    watch.abort();
    watch = new AbortController();
    void store.watch({ prefix: peer.prefix, from, signal: watch.signal }, onWatchMessage);
  }

  function onWatchMessage(message: WatchMessage): void {
    if (message.type === "opened") opens++;
    const event = watchEvent(message, opens, peer);
    if (event !== undefined) dispatch(event);
  }

  return {
    cluster: options.cluster,
    id: options.id,
    index,
    status: () => peerState(state, clock.now()),
    isVerified: () => isVerified(state),
    verifiesAbsence: (kind) => verifiesAbsence(state, kind),
    report: () => sourceReport(state, clock.now()),
    usage: () => usageOf(state),
    ages: () => ({ beatMs: beatAgeMs(state, clock.now()), kubeMs: state.head?.kubeAgeMs ?? 0 }),
    confirmStore() {
      confirming ??= confirmStore().finally(() => {
        confirming = undefined;
      });
      return confirming;
    },
    onStatus: statusChanges.subscribe,
    start(outer) {
      signal = outer;
      outer.addEventListener("abort", stop, { once: true });
      dispatch({ type: "start" });
    },
    judgeAgain: (keys) => dispatch({ type: "judge-again", ...(keys && { keys }) }),
    permit: (uid, refusal) => dispatch({ type: "permitted", uid, refusal }),
    remove() {
      dispatch({ type: "removed" });
      signal?.removeEventListener("abort", stop);
      stop();
    },
  };
}

/** The reader's event for a message of its watch; undefined: nothing changes. `open`: number of the stream. */
function watchEvent(message: WatchMessage, open: number, peer: PeerStore): NewReaderEvent | undefined {
  switch (message.type) {
    case "opened":
      return { type: "opened", open };
    case "events":
      return { type: "seen", events: message.events.map(peer.seen), revision: message.revision };
    case "lost":
      return { type: "lost", sentence: message.error.message };
    case "refused":
      return { type: "watch-over", sentence: message.error.message };
    case "compacted":
    case "set-back":
      return { type: "watch-over", sentence: `The watch ended (${message.type}): reading the store again` };
    case "alive":
      return undefined;
  }
}

function createReaderMetrics(metrics: Metrics | undefined) {
  return {
    propagation: metrics?.histogram(
      "mesh_propagation_seconds",
      "Time from when the apiserver of origin saw a change to a stage",
      ["stage", "cluster"],
      LATENCY_BUCKETS_SECONDS,
    ),
    dropped: metrics?.counter(
      "mesh_source_held_dropped_total",
      "How often more events of a peer arrived than may wait until its store is checked",
      ["cluster"],
    ),
  };
}
