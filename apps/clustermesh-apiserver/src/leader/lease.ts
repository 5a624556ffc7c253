/**
 * The Lease as a pure machine: `stepLease(state, event)` changes the state and returns the one thing to do next.
 *
 *   Standby ─► Holder    the Lease is absent, given back, of our own predecessor, or was not renewed for its whole duration
 *   Holder ─► Standby    another holder was read, and by nothing else: no answer is not a loss (ADR 22)
 *
 * As client-go does it: a Lease ends when it was seen unchanged for its duration by the observer's own monotonic clock, so
 * clocks of nodes may differ; writes carry the resourceVersion that was read, so of two that acquire it one is refused.
 */
import type { KubeLease } from "@isthmus/kube";

export const LEASE_MS = 15_000;
/** A holder that could not renew for this long writes no status. */
export const RENEW_DEADLINE_MS = 10_000;
export const RETRY_MS = 2_000;
/** After a refused write: whoever wrote in between is read. */
const CONFLICT_MS = 200;
/** What a Lease says of its own duration is believed within this. */
const LONGEST_MS = 60_000;

export interface LeaseOptions {
  readonly namespace: string;
  readonly name: string;
  /** Name of the replica; the same one after a restart of its container. */
  readonly instance: string;
  /** This process: `<instance>_<random>`. */
  readonly identity: string;
  /** In [0, 1). */
  readonly random: () => number;
}

export interface LeaseState {
  readonly options: LeaseOptions;
  /** What was read or written last, and since when it is unchanged (monotonic). */
  seen: { readonly lease: KubeLease; readonly since: number } | undefined;
  /** We wrote ourselves into it last, as far as we have seen. */
  holding: boolean;
  /** When the last successful renewal was sent; before, the Lease cannot have ended. */
  renewedAt: number | undefined;
  /** Nothing was read yet: a holder of our name is our predecessor. */
  first: boolean;
  /** Why the last call failed; "" when it did not. */
  problem: string;
}

export type LeaseEvent =
  | { readonly type: "tick" }
  /** Undefined: there is none. */
  | { readonly type: "read"; readonly lease: KubeLease | undefined }
  | { readonly type: "written"; readonly lease: KubeLease; readonly sentAt: number }
  | { readonly type: "conflict" }
  | { readonly type: "failed"; readonly sentence: string };

export interface LeaseTime {
  /** Monotonic milliseconds. */
  readonly now: number;
  readonly wallMicros: number;
}

export type LeaseEffect =
  | { readonly type: "read" }
  | { readonly type: "write"; readonly lease: KubeLease }
  | { readonly type: "wait"; readonly ms: number };

export function createLeaseState(options: LeaseOptions): LeaseState {
  return { options, seen: undefined, holding: false, renewedAt: undefined, first: true, problem: "" };
}

export function stepLease(state: LeaseState, event: LeaseEvent, time: LeaseTime): LeaseEffect {
  switch (event.type) {
    case "tick":
      return state.holding && state.seen !== undefined ? write(state, state.seen.lease, time) : { type: "read" };
    case "read":
      return onRead(state, event.lease, time);
    case "written":
      see(state, event.lease, time.now);
      state.holding = true;
      state.first = false;
      state.renewedAt = event.sentAt;
      state.problem = "";
      return wait(state, RETRY_MS);
    case "conflict":
      // Not `holding`: who holds it is what is read next.
      state.seen = undefined;
      return wait(state, CONFLICT_MS);
    case "failed":
      state.problem = event.sentence;
      return wait(state, RETRY_MS);
  }
}

/** Status may be written: nobody else can have acquired the Lease yet. */
export function isValid(state: LeaseState, now: number): boolean {
  return state.holding && state.renewedAt !== undefined && now - state.renewedAt < RENEW_DEADLINE_MS;
}

/** Who holds it, as the replica is called; "" when nobody does. */
export function holderOf(lease: KubeLease | undefined): string {
  return (lease?.spec?.holderIdentity ?? "").replace(/_[^_]*$/, "");
}

/** Given back by its holder on an orderly stop. */
export function releasedLease(state: LeaseState, { wallMicros }: LeaseTime): KubeLease | undefined {
  if (!state.holding || state.seen === undefined) return undefined;
  const { metadata, spec = {} } = state.seen.lease;
  const { holderIdentity: _, ...rest } = spec;
  return { metadata, spec: { ...rest, leaseDurationSeconds: 1, renewTime: microTime(wallMicros) } };
}

function onRead(state: LeaseState, lease: KubeLease | undefined, time: LeaseTime): LeaseEffect {
  const { options } = state;
  const first = state.first;
  state.first = false;
  state.problem = "";
  if (lease === undefined) return write(state, undefined, time);
  see(state, lease, time.now);
  const holder = lease.spec?.holderIdentity ?? "";
  const ours = holder === options.identity || (first && holderOf(lease) === options.instance);
  if (ours || holder === "" || hasEnded(state, time.now)) return write(state, lease, time);
  state.holding = false;
  state.renewedAt = undefined;
  return wait(state, RETRY_MS);
}

/** The same writer and the same renewal are no sign of life, whatever else of the object changed. */
function see(state: LeaseState, lease: KubeLease, now: number): void {
  const text = ({ spec }: KubeLease) => `${spec?.holderIdentity}\0${spec?.renewTime}\0${spec?.leaseTransitions}`;
  const { seen } = state;
  const since = seen !== undefined && text(seen.lease) === text(lease) ? seen.since : now;
  state.seen = { lease, since };
}

function hasEnded({ seen }: LeaseState, now: number): boolean {
  if (seen === undefined) return false;
  const said = (seen.lease.spec?.leaseDurationSeconds ?? 0) * 1000;
  const duration = said > 0 ? Math.min(said, LONGEST_MS) : LEASE_MS;
  return now - seen.since >= duration;
}

function write({ options }: LeaseState, held: KubeLease | undefined, { wallMicros }: LeaseTime): LeaseEffect {
  const { namespace, name, identity } = options;
  const { spec, metadata } = held ?? { metadata: { namespace, name } };
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
        leaseTransitions: renews || held === undefined ? transitions : transitions + 1,
      },
    },
  };
}

function wait({ options }: LeaseState, ms: number): LeaseEffect {
  return { type: "wait", ms: Math.round(ms * (1 + 0.2 * options.random())) };
}

function microTime(micros: number): string {
  const [millis, rest] = [Math.floor(micros / 1000), Math.floor(micros % 1000)];
  return new Date(millis).toISOString().replace("Z", `${String(rest).padStart(3, "0")}Z`);
}
