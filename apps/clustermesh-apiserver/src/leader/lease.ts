/**
 * The Lease as a pure state machine: `stepLease(state, event)` changes the state and returns the next effect.
 *
 *   Standby ─► Holder    the Lease is absent, released, of this instance's previous process, or was not renewed for its duration
 *   Holder ─► Standby    only when another holder was read: a missing answer is not a loss (ADR 22)
 *
 * As in client-go: a Lease expires when the observer has seen it unchanged for its duration by its own monotonic clock, so the
 * clocks of nodes may differ. Writes carry the resourceVersion that was read, so of two instances that acquire it one is refused.
 */
import type { KubeLease } from "@isthmus/kube";

export const LEASE_MS = 15_000;
/** A holder that could not renew for this long writes no status. */
export const RENEW_DEADLINE_MS = 10_000;
export const RETRY_MS = 2_000;
/** Wait after a conflict, before the Lease is read again. */
const CONFLICT_MS = 200;
/** Upper bound of the duration that a Lease states. */
const LONGEST_MS = 60_000;

export interface LeaseOptions {
  /** Namespace of the Lease object. */
  readonly namespace: string;
  /** Name of the Lease object: the same for all instances of the cluster. */
  readonly name: string;
  /** Name of the replica; the same one after a restart of its container. */
  readonly instance: string;
  /** This process: `<instance>_<random>`. */
  readonly identity: string;
  /** In [0, 1). */
  readonly random: () => number;
}

export interface LeaseState {
  /** Those of `createLeaseState`; they do not change. */
  readonly options: LeaseOptions;
  /** The Lease as last read or written, and since when it is unchanged (monotonic). */
  observed: { readonly lease: KubeLease; readonly since: number } | undefined;
  /** The Lease that was read or written last names this process. */
  holding: boolean;
  /** When the last successful renewal was sent (monotonic): its duration cannot have begun earlier. */
  renewedAt: number | undefined;
  /** Number of renewals that came after `isValid` had become false: the status withheld meanwhile is due. */
  lapses: number;
  /** No Lease has been read yet: a holder with this instance's name is its previous process. */
  first: boolean;
  /** Why the last call failed; "" when it did not. */
  problem: string;
}

export type LeaseEvent =
  | { readonly type: "tick" }
  /** `lease` undefined: it does not exist. */
  | { readonly type: "read"; readonly lease: KubeLease | undefined }
  | { readonly type: "written"; readonly lease: KubeLease; readonly sentAt: number }
  | { readonly type: "conflict" }
  | { readonly type: "failed"; readonly sentence: string };

export interface LeaseTime {
  /** Monotonic milliseconds. */
  readonly now: number;
  /** Microseconds since the epoch: dates the renewals that are written. */
  readonly wallMicros: number;
}

export type LeaseEffect =
  | { readonly type: "read" }
  | { readonly type: "write"; readonly lease: KubeLease }
  | { readonly type: "wait"; readonly ms: number };

/** The state of a process that has not read the Lease yet; its first event is a tick. */
export function createLeaseState(options: LeaseOptions): LeaseState {
  return { options, observed: undefined, holding: false, renewedAt: undefined, lapses: 0, first: true, problem: "" };
}

/** Changes `state`. The caller performs the effect and reports its outcome as the next event. */
export function stepLease(state: LeaseState, event: LeaseEvent, time: LeaseTime): LeaseEffect {
  switch (event.type) {
    case "tick":
      return state.holding && state.observed !== undefined
        ? write(state, state.observed.lease, time)
        : { type: "read" };
    case "read":
      return onRead(state, event.lease, time);
    case "written":
      if (state.holding && !isValid(state, time.now)) state.lapses++;
      observe(state, event.lease, time.now);
      state.holding = true;
      state.first = false;
      state.renewedAt = event.sentAt;
      state.problem = "";
      return wait(state, RETRY_MS);
    case "conflict":
      // `holding` stays unchanged: the next read shows which instance holds the Lease.
      state.observed = undefined;
      return wait(state, CONFLICT_MS);
    case "failed":
      state.problem = event.sentence;
      return wait(state, RETRY_MS);
  }
}

/** True while status may be written: no other instance can have acquired the Lease yet. */
export function isValid(state: LeaseState, now: number): boolean {
  return state.holding && state.renewedAt !== undefined && now - state.renewedAt < RENEW_DEADLINE_MS;
}

/** Name of the instance that holds the Lease; "" when none does. */
export function holderOf(lease: KubeLease | undefined): string {
  return (lease?.spec?.holderIdentity ?? "").replace(/_[^_]*$/, "");
}

/** The Lease as its holder releases it on an orderly stop; undefined when there is nothing to release. */
export function releasedLease(state: LeaseState, { wallMicros }: LeaseTime): KubeLease | undefined {
  if (!state.holding || state.observed === undefined) return undefined;
  const { metadata, spec = {} } = state.observed.lease;
  const { holderIdentity: _, ...rest } = spec;
  return { metadata, spec: { ...rest, leaseDurationSeconds: 1, renewTime: microTime(wallMicros) } };
}

function onRead(state: LeaseState, lease: KubeLease | undefined, time: LeaseTime): LeaseEffect {
  const { options } = state;
  const first = state.first;
  state.first = false;
  state.problem = "";
  if (lease === undefined) return write(state, undefined, time);
  observe(state, lease, time.now);
  const holder = lease.spec?.holderIdentity ?? "";
  const ours = holder === options.identity || (first && holderOf(lease) === options.instance);
  if (ours || holder === "" || hasEnded(state, time.now)) return write(state, lease, time);
  state.holding = false;
  state.renewedAt = undefined;
  return wait(state, RETRY_MS);
}

/** Only another holder, renewal or transition restarts the duration; other changes of the object do not. */
function observe(state: LeaseState, lease: KubeLease, now: number): void {
  const text = ({ spec }: KubeLease) => `${spec?.holderIdentity}\0${spec?.renewTime}\0${spec?.leaseTransitions}`;
  const { observed } = state;
  const since = observed !== undefined && text(observed.lease) === text(lease) ? observed.since : now;
  state.observed = { lease, since };
}

function hasEnded({ observed }: LeaseState, now: number): boolean {
  if (observed === undefined) return false;
  const statedMs = (observed.lease.spec?.leaseDurationSeconds ?? 0) * 1000;
  const duration = statedMs > 0 ? Math.min(statedMs, LONGEST_MS) : LEASE_MS;
  return now - observed.since >= duration;
}

function write({ options }: LeaseState, current: KubeLease | undefined, { wallMicros }: LeaseTime): LeaseEffect {
  const { namespace, name, identity } = options;
  const { spec, metadata } = current ?? { metadata: { namespace, name } };
  const now = microTime(wallMicros);
  const renews = spec?.holderIdentity === identity;
  const transitions = spec?.leaseTransitions ?? 0;
  return {
    type: "write",
    lease: {
      metadata,
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: LEASE_MS / 1000,
        acquireTime: renews ? (spec.acquireTime ?? now) : now,
        renewTime: now,
        leaseTransitions: renews || current === undefined ? transitions : transitions + 1,
      },
    },
  };
}

/** An interval, not a back-off: it does not grow, and chance only lengthens it. */
function wait({ options }: LeaseState, ms: number): LeaseEffect {
  return { type: "wait", ms: Math.round(ms * (1 + 0.2 * options.random())) };
}

function microTime(micros: number): string {
  const [millis, rest] = [Math.floor(micros / 1000), Math.floor(micros % 1000)];
  return new Date(millis).toISOString().replace("Z", `${String(rest).padStart(3, "0")}Z`);
}
