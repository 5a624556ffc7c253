/**
 * The publisher's shell: performs the effects of the core, for one store and one cluster.
 *
 * Calls have the store's deadline. There is no circuit breaker: the core bounds the calls in flight and retries them with
 * jittered back-off.
 */
import { randomBytes } from "node:crypto";
import {
  authEnabled,
  claimKey,
  clusterPrefix,
  mayHaveHappened,
  type Store,
  storeError,
  type WatchMessage,
} from "@isthmus/kvstore";
import { type Clock, parseClusterId, parseClusterName } from "@isthmus/model";
import type { Logger, Metrics } from "@isthmus/observe";
import { ClusterClaim, type ClusterConfig, type PublisherStatus } from "@isthmus/proto";
import { encodeClusterConfig } from "@isthmus/records";
import { readIdClaim } from "../store/id-claim.js";
import type { NewPublisherEvent, PublisherEffect, PublisherEvent, StoredKey } from "./events.js";
import type { ExportSource } from "./export-source.js";
import { publisherStatus } from "./status.js";
import { createPublisherState, step } from "./step.js";

export interface PublisherSettings {
  /** This cluster: name, id, uid, CIDRs, version; its canonical bytes are the config record. */
  readonly config: ClusterConfig;
  /** This process; a new one for every start. */
  readonly instance: string;
  /** Write although the store has no authentication (tests, a private store). */
  readonly allowOpenStore?: boolean;
}

export interface PublisherModules {
  readonly store: Store;
  readonly source: ExportSource;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics?: Metrics;
  /** Age of the last contact with Kubernetes in milliseconds. */
  readonly kubeAgeMs: () => number;
  /** Epoch of the local cluster, for the head: "" until a restore of Kubernetes was detected. */
  readonly epoch: () => string;
  /** True while this instance holds the Lease, and need not wait for another writer. Absent: false. */
  readonly hasLease?: () => boolean;
}

export interface Publisher {
  /** Publishes until the signal aborts. `source` must be complete before. */
  run(signal: AbortSignal): Promise<void>;
  /** Publishes other CIDRs from now on; name, id and uid must not change. */
  configure(config: ClusterConfig): void;
  status(): PublisherStatus;
  /** Keys that were modified externally and restored. */
  readonly restored: number;
}

export function createPublisher(settings: PublisherSettings, modules: PublisherModules): Publisher {
  const { config, instance } = settings;
  const { store, clock, log } = modules;
  const prefix = clusterPrefix(parseClusterName(config.name));
  const id = parseClusterId(config.id);
  const claim = claimKey(id);
  const state = createPublisherState({
    clusterId: config.id,
    claim: { name: config.name, uid: config.uid },
    instance,
    config: encodeClusterConfig(config),
    epoch: modules.epoch,
    newStoreId: () => randomBytes(16),
    kubeAgeMs: modules.kubeAgeMs,
    hasLease: modules.hasLease ?? (() => false),
    ...(settings.allowOpenStore === undefined ? {} : { allowOpenStore: settings.allowOpenStore }),
  });
  const txnSeconds = modules.metrics?.histogram(
    "mesh_publish_txn_seconds",
    "Time of one txn of the publisher",
    [],
    [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 3],
  );
  const records = modules.metrics?.counter("mesh_publish_writes_total", "Keys written to the store, heads included");
  let signal = new AbortController().signal;
  let wake: NodeJS.Timeout | undefined;
  let watch = new AbortController();
  /** Number of the newest listing; the result of an older one is ignored, since it may have read an older store. */
  let inspections = 0;

  function dispatch(event: NewPublisherEvent): void {
    if (signal.aborted) return;
    const [before, restored] = [state.phase.status, state.restored];
    const effects = step(state, { ...event, now: clock.now(), wallMicros: clock.wallMicros() } as PublisherEvent);
    if (before !== state.phase.status) logPhase(before);
    if (state.restored > restored) {
      log.warn("Published keys were modified externally, restoring them", { keys: state.restored - restored });
    }
    for (const effect of effects) perform(effect);
  }

  function logPhase(before: string): void {
    const { status } = state.phase;
    const fields = { status, seq: state.seq, message: state.message };
    if (status === "Refused" || status === "Standby") log.warn("Publisher does not write", fields);
    else if (status === "Live" && before !== "Resolving") log.info("Publisher is live", fields);
    else log.debug("Publisher changed its status", fields);
  }

  function perform(effect: PublisherEffect): void {
    switch (effect.type) {
      case "inspect":
        answerInspection(++inspections);
        break;
      case "claim":
        answer(takeClaim());
        break;
      case "read-head":
        answer(readHead());
        break;
      case "txn":
        void transact(effect).then(dispatch);
        break;
      case "watch":
        follow(effect.from);
        break;
      case "wake":
        clearTimeout(wake);
        wake = setTimeout(() => dispatch({ type: "tick" }), effect.ms);
    }
  }

  function answerInspection(number: number): void {
    const call = inspect();
    answer(call.then((event) => (number === inspections ? event : undefined)));
  }

  function answer(call: Promise<NewPublisherEvent | undefined>): void {
    const take = (event: NewPublisherEvent | undefined) => event && dispatch(event);
    call.then(take, (thrown: unknown) => {
      dispatch({ type: "unanswered", sentence: storeError(thrown, "ask the store").message });
    });
  }

  async function inspect(): Promise<NewPublisherEvent> {
    const [authOn, claimed] = await Promise.all([authEnabled(store), readIdClaim(store, id)]);
    const entries: StoredKey[] = [];
    let revision = claimed.revision;
    for await (const page of store.list(prefix, { signal })) {
      for (const entry of page.entries) entries.push(relative(entry));
      revision = page.revision;
    }
    return { type: "inspected", authOn, claim: claimed.claim, entries, revision };
  }

  async function takeClaim(): Promise<NewPublisherEvent> {
    const value = ClusterClaim.encode({ name: config.name, uid: config.uid }).finish();
    await store.txn([{ key: claim, modRevision: 0n }], [{ type: "put", key: claim, value }]);
    return { type: "claimed" };
  }

  async function readHead(): Promise<NewPublisherEvent> {
    const [head, fence] = await Promise.all([store.get(`${prefix}head`), store.get(`${prefix}fence`)]);
    return { type: "head-read", head: head.entry, fence: fence.entry };
  }

  async function transact({
    id,
    compares,
    writes,
  }: Extract<PublisherEffect, { type: "txn" }>): Promise<NewPublisherEvent> {
    const start = clock.now();
    try {
      const { committed, revision } = await store.txn(
        compares.map((compare) => ({ ...compare, key: prefix + compare.key })),
        writes.map((write) => ({ ...write, key: prefix + write.key })),
      );
      txnSeconds?.observe((clock.now() - start) / 1000);
      if (!committed) return { type: "rejected", id };
      records?.add({}, writes.length);
      return { type: "committed", id, revision };
    } catch (thrown) {
      const error = storeError(thrown, "write to the store");
      const full = error.code === "STORE_FULL";
      return { type: "failed", id, sentence: error.message, mayHaveHappened: mayHaveHappened(error), full };
    }
  }

  function follow(from: bigint): void {
    watch.abort();
    watch = new AbortController();
    void store.watch({ prefix, from, signal: watch.signal }, onMessage);
  }

  function onMessage(message: WatchMessage): void {
    if (message.type === "events") {
      const events = message.events.map((event) => ({ ...relative(event), deleted: event.type === "delete" }));
      dispatch({ type: "seen", events });
    } else if (message.type === "compacted" || message.type === "set-back" || message.type === "refused") {
      dispatch({ type: "watch-over", sentence: `The watch of this cluster's records ended: ${message.type}` });
    }
  }

  function relative(entry: StoredKey): StoredKey {
    return { key: entry.key.slice(prefix.length), value: entry.value, modRevision: entry.modRevision };
  }

  return {
    async run(outer) {
      signal = outer;
      const stop = modules.source.onChange((change) => dispatch({ type: "changed", change }));
      const upserts = [...modules.source.records()];
      dispatch({ type: "changed", change: { upserts, deletes: [], observedMicros: 0 } });
      dispatch({ type: "start" });
      await new Promise<void>((resolve) => {
        if (outer.aborted) resolve();
        else outer.addEventListener("abort", () => resolve(), { once: true });
      });
      stop();
      clearTimeout(wake);
      watch.abort();
    },
    configure: (next) => dispatch({ type: "configured", config: encodeClusterConfig(next) }),
    status: () => publisherStatus(state, clock.now()),
    get restored() {
      return state.restored;
    },
  };
}
