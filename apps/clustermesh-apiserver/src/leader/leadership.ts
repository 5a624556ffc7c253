/**
 * Decides which instance of this cluster's apiserver publishes and writes status: performs the effects of `lease.ts`.
 *
 * In: the Lease in Kubernetes. Out: `publishes` and `writes`, to be read immediately before each write. Everything else (serving
 * agents and the admin API, following the peers) is done by every instance.
 */
import { hasStatus, type KubeClient, type KubeLease, LEASES } from "@isthmus/kube";
import { type Clock, MeshError, printable } from "@isthmus/model";
import type { Logger, Metrics } from "@isthmus/observe";
import { createEmitter, sleep } from "@isthmus/runtime";
import {
  createLeaseState,
  holderOf,
  isValid,
  type LeaseEffect,
  type LeaseEvent,
  type LeaseOptions,
  RENEW_DEADLINE_MS,
  releasedLease,
  stepLease,
} from "./lease.js";

export interface Leadership {
  /** This instance is the last known holder of the Lease; it stays so while Kubernetes does not answer (ADR 22). */
  readonly publishes: boolean;
  /** This instance holds a valid Lease: objects of this cluster may be written. */
  readonly writes: boolean;
  /** Why it does not publish, or write status; undefined for a holder. */
  readonly explanation: string | undefined;
  /**
   * Calls the listener when `publishes` or `writes` changed, or when `writes` was false meanwhile. Returns a function that
   * removes it.
   */
  onChange(listener: () => void): () => void;
  /** Acquires and renews the Lease until aborted; resolves after an attempt to release it. */
  run(signal: AbortSignal): Promise<void>;
}

export interface LeadershipModules {
  /** Each call has a deadline of 4 s, the release one of 2 s. */
  readonly client: KubeClient;
  /** Its monotonic time decides what has expired; its wall clock dates the renewals in the Lease. */
  readonly clock: Clock;
  /** Gets each change of the holder, and why calls fail. */
  readonly log: Logger;
  /** Gets the gauge `mesh_lease_holder`. */
  readonly metrics?: Metrics;
}

export const LEASE_NAME = "clustermesh-apiserver";
/** Deadline of one call: an API that does not answer costs one renewal, not the Lease. */
const CALL_MS = 4_000;
const RELEASE_MS = 2_000;

/** Before `run` it reads nothing, and neither publishes nor writes. */
export function createLeadership(
  options: Omit<LeaseOptions, "name" | "random">,
  { client, clock, log, metrics }: LeadershipModules,
): Leadership {
  const { namespace, instance } = options;
  const lease = JSON.stringify(`${namespace}/${LEASE_NAME}`);
  const state = createLeaseState({ ...options, name: LEASE_NAME, random: Math.random });
  const changes = createEmitter();
  let last = "";
  let problem = "";

  const time = () => ({ now: clock.now(), wallMicros: clock.wallMicros() });
  const writes = () => isValid(state, clock.now());

  /** Why this instance may not write status; a holder that cannot renew the Lease may have lost it without knowing. */
  function explanation(): string | undefined {
    if (writes()) return undefined;
    const why = state.problem === "" ? "" : `: ${state.problem}`;
    if (state.holding)
      return `Cannot renew the Lease ${lease} for ${RENEW_DEADLINE_MS / 1000} s${why}; this instance publishes, and writes no status`;
    if (state.observed === undefined) return `Cannot publish yet: the Lease ${lease} has not been read${why}`;
    const holder = JSON.stringify(printable(holderOf(state.observed.lease)));
    return `Instance ${holder} holds the Lease ${lease}: this one serves agents, and neither publishes nor writes status${why}`;
  }

  function reportChange(): void {
    if (state.problem !== problem && state.problem !== "")
      log.warn("Cannot read or write the Lease", { lease: LEASE_NAME, problem: state.problem });
    problem = state.problem;
    const now = `${state.holding} ${writes()} ${state.lapses} ${holderOf(state.observed?.lease)}`;
    if (now === last) return;
    last = now;
    if (writes()) log.info("This instance publishes and writes status", { lease: LEASE_NAME, instance });
    else if (state.holding) log.warn("The Lease was not renewed in time", { why: explanation() });
    else if (state.observed !== undefined)
      log.info("Another instance publishes and writes status", { why: explanation() });
    changes.emit();
  }

  async function perform(effect: LeaseEffect, signal: AbortSignal): Promise<LeaseEvent> {
    if (effect.type === "wait") {
      await sleep(clock, effect.ms, signal);
      return { type: "tick" };
    }
    const target = { namespace, timeoutMs: CALL_MS };
    const sentAt = clock.now();
    try {
      if (effect.type === "read")
        return { type: "read", lease: await client.get<KubeLease>(LEASES, LEASE_NAME, { ...target, signal }) };
      // No abort signal: the API may apply the write anyway, and only its answer has the resourceVersion that `release` needs.
      return { type: "written", lease: await put(effect.lease, target), sentAt };
    } catch (thrown) {
      // 404: the Lease was deleted meanwhile, or the namespace is missing; the next read and write show which.
      if (hasStatus(thrown, 409)) return { type: "conflict" };
      if (hasStatus(thrown, 404)) state.observed = undefined;
      return { type: "failed", sentence: MeshError.from(thrown).message };
    }
  }

  function put(object: KubeLease, target: { readonly namespace: string; readonly timeoutMs: number }) {
    const known = object.metadata.resourceVersion !== undefined;
    return known ? client.replace(LEASES, object, target) : client.create(LEASES, object, target);
  }

  /** Releases the Lease, so that the next holder need not wait until it expires. */
  async function release(): Promise<void> {
    const object = releasedLease(state, time());
    state.holding = false;
    if (object === undefined) return;
    await put(object, { namespace, timeoutMs: RELEASE_MS }).catch((error: unknown) => {
      log.info("Lease not released: another instance waits until it expires", { error });
    });
  }

  metrics?.gauge("mesh_lease_holder", "1 where this instance publishes and writes status", [], (gauge) =>
    gauge.set(writes() ? 1 : 0),
  );
  return {
    get publishes() {
      return state.holding;
    },
    get writes() {
      return writes();
    },
    get explanation() {
      return explanation();
    },
    onChange: changes.subscribe,
    async run(signal) {
      let event: LeaseEvent = { type: "tick" };
      for (;;) {
        const effect = stepLease(state, event, time());
        if (signal.aborted) break;
        reportChange();
        event = await perform(effect, signal);
      }
      await release();
    },
  };
}
