/**
 * The publisher's shell: performs the effects of the core, for one store and one cluster.
 *
 * Calls have the store's deadline. There is no circuit breaker: the core bounds the calls in flight and retries them with
 * jittered back-off.
 */
import { randomBytes } from "node:crypto";
import { type Store, storeError } from "@isthmus/kvstore";
import type { Clock } from "@isthmus/model";
import type { Logger, Metrics } from "@isthmus/observe";
import type { ClusterConfig, PublisherStatus } from "@isthmus/proto";
import { encodeClusterConfig } from "@isthmus/records";
import { createClusterKeys } from "./cluster-keys.js";
import type { NewPublisherEvent, PublisherEffect, PublisherEvent } from "./events.js";
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
  /** Its owner closes it, not the publisher. */
  readonly store: Store;
  /** What must be in the store: followed while `run` runs. */
  readonly source: ExportSource;
  /** `now` is for beats and waits; `wallMicros` is written into heads. */
  readonly clock: Clock;
  /** Gets changes of the publisher's status, and how many externally modified keys are restored. */
  readonly log: Logger;
  /** Absent: txns and written keys are not measured. */
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
  /** As of this call; `beatAgeMs` is the time since this publisher's last head, 0 before the first. */
  status(): PublisherStatus;
  /** Keys that were modified externally and restored. */
  readonly restored: number;
}

/** Does nothing before `run`. Throws for a name or an id that no cluster can have. */
export function createPublisher(settings: PublisherSettings, modules: PublisherModules): Publisher {
  const { config, instance } = settings;
  const { clock, log } = modules;
  const keys = createClusterKeys(config, modules);
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
  let signal = new AbortController().signal;
  let wake: NodeJS.Timeout | undefined;
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
        answer(keys.takeClaim());
        break;
      case "read-head":
        answer(keys.readHead());
        break;
      case "txn":
        void keys.transact(effect).then(dispatch);
        break;
      case "watch":
        keys.watch(effect.from, dispatch);
        break;
      case "wake":
        clearTimeout(wake);
        wake = setTimeout(() => dispatch({ type: "tick" }), effect.ms);
    }
  }

  function answerInspection(number: number): void {
    const call = keys.inspect(signal);
    answer(call.then((event) => (number === inspections ? event : undefined)));
  }

  function answer(call: Promise<NewPublisherEvent | undefined>): void {
    const take = (event: NewPublisherEvent | undefined) => event && dispatch(event);
    call.then(take, (thrown: unknown) => {
      dispatch({ type: "unanswered", sentence: storeError(thrown, "ask the store").message });
    });
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
      keys.close();
    },
    configure: (next) => dispatch({ type: "configured", config: encodeClusterConfig(next) }),
    status: () => publisherStatus(state, clock.now()),
    get restored() {
      return state.restored;
    },
  };
}
