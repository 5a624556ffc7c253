/**
 * The publisher as a pure machine: `step(state, event)` changes the state and returns what the shell must do.
 *
 *   Off ─► Connecting ─► TakingOver ─┬► Live ◄──── Loading
 *              ▲  │           ▲      └► Connecting (lists again: nobody else writes now) ─► Loading
 *              │  └► Refused  └ Standby (another instance writes; when it is silent, take over)
 *              └──────── every surprise: list again, take over again
 *
 * Live: one txn in flight; it compares the head's revision and rewrites the head last, so a paused old writer cannot write
 * and the sums are exact at every revision. Loading: SYNCING, txns compare the fence alone.
 */
import { CONFIG_KEY, FENCE_KEY, HEAD_KEY, STORE_KEY } from "@isthmus/kvstore";
import { Fence, type Head, HeadState } from "@isthmus/proto";
import { createRecordTable, sameBytes, sameSums } from "@isthmus/records";
import { createDirtySet } from "./dirty-set.js";
import type { PublisherEffect, PublisherEvent, Standing, Write } from "./events.js";
import { flightOf, pump, withHead } from "./flights.js";
import { compares, configDirty, headOf, readFence, readHead } from "./meta-keys.js";
import {
  BEAT_MS,
  type Flight,
  type PublisherOptions,
  type PublisherState,
  REFUSED_RETRY_MS,
  SILENT_MS,
} from "./state.js";
import { createStored } from "./stored.js";
import { compareAll, compareKey, fits } from "./wanted.js";

const CHANGED = "The store is not as this publisher left it: reading it again";

type Event<T extends PublisherEvent["type"]> = Extract<PublisherEvent, { type: T }>;

export function createPublisherState(options: PublisherOptions): PublisherState {
  return {
    options,
    phase: { status: "Off" },
    wanted: createRecordTable(),
    dirty: createDirtySet(),
    stored: createStored([]),
    seq: 0n,
    beat: 0n,
    revision: 0n,
    storeId: new Uint8Array(0),
    message: "",
    headAt: undefined,
    nextId: 1,
    failures: 0,
    renewStoreId: false,
    listedAt: 0n,
    heldFence: false,
    suspect: false,
    tooLarge: new Map(),
  };
}

export function step(state: PublisherState, event: PublisherEvent): PublisherEffect[] {
  switch (event.type) {
    case "start":
      return connect(state);
    case "changed":
      return onChanged(state, event);
    case "inspected":
      return state.phase.status === "Connecting" ? onInspected(state, event) : [];
    case "claimed":
      return state.phase.status === "Connecting" ? [{ type: "inspect" }] : [];
    case "committed":
      return onCommitted(state, event);
    case "rejected":
      return onRejected(state, event);
    case "failed":
      return onFailed(state, event);
    case "unanswered":
      state.message = event.sentence;
      return [retry(state)];
    case "head-read":
      return onHeadRead(state, event);
    case "seen":
      return onSeen(state, event);
    case "watch-over":
      return isWriting(state) ? surprise(state, event.sentence) : [];
    case "tick":
      return onTick(state, event);
  }
}

// ---- the way to writing ------------------------------------------------------------------------------------------

/** * -> Connecting */
function connect(state: PublisherState): PublisherEffect[] {
  state.phase = { status: "Connecting" };
  return [{ type: "inspect" }];
}

/** Live, Loading, … -> Connecting, after a moment: what we believed of the store is not so. */
function surprise(state: PublisherState, sentence: string): PublisherEffect[] {
  state.message = sentence;
  state.phase = { status: "Connecting" };
  return [retry(state)];
}

/** * -> Refused: an operator must act; it is looked at again by itself. */
function refuse(state: PublisherState, sentence: string): PublisherEffect[] {
  state.message = sentence;
  state.phase = { status: "Refused" };
  return [{ type: "wake", ms: REFUSED_RETRY_MS }];
}

function onInspected(state: PublisherState, event: Event<"inspected">): PublisherEffect[] {
  const { options } = state;
  if (!event.authOn && options.allowOpenStore !== true) {
    return refuse(state, "Cannot publish: the store does not check who writes; turn its authentication on");
  }
  if (event.claim === undefined) return [{ type: "claim" }];
  const { name, uid } = event.claim;
  if (name !== options.claim.name || uid !== options.claim.uid) {
    const claimer = `cluster "${name}" with uid "${uid}"`;
    return refuse(state, `Cannot publish with cluster id ${options.clusterId}: ${claimer} has claimed it`);
  }
  if (event.revision < state.revision) state.renewStoreId = true; // restored: the id it has is that of a later past
  state.revision = event.revision;
  state.stored = createStored(event.entries);
  state.listedAt = event.revision;
  const [fence, head] = [readFence(state.stored.meta(FENCE_KEY)), headOf(state)];
  if (fence !== undefined && fence !== options.instance && state.heldFence) {
    return stepDown(state, fence, head?.seq ?? 0n, event.now);
  }
  const syncing = head?.writer === options.instance && head.state === HeadState.HEAD_STATE_SYNCING;
  if (fence === options.instance && syncing && !state.suspect) return startLoading(state, event);
  return takeOver(state, event.wallMicros);
}

/** Connecting -> TakingOver: fence and head in one txn that compares both. */
function takeOver(state: PublisherState, wallMicros: number): PublisherEffect[] {
  const { stored, options } = state;
  const old = headOf(state);
  const whole = old?.state === HeadState.HEAD_STATE_LIVE && sameSums(old.sums, stored.sumsAfter([]));
  const live = whole && stored.meta(STORE_KEY) !== undefined && !state.renewStoreId;
  state.seq = larger(state.seq, old?.seq ?? 0n);
  state.beat = larger(state.beat, old?.beat ?? 0n);
  const writes: Write[] = [
    { type: "put", key: FENCE_KEY, value: Fence.encode({ instance: options.instance }).finish() },
  ];
  if (stored.meta(STORE_KEY) === undefined || state.renewStoreId) {
    writes.push({ type: "put", key: STORE_KEY, value: options.newStoreId() });
  }
  if (configDirty(state)) writes.push({ type: "put", key: CONFIG_KEY, value: options.config });
  const flight = withHead(
    state,
    writes,
    live ? HeadState.HEAD_STATE_LIVE : HeadState.HEAD_STATE_SYNCING,
    0,
    wallMicros,
  );
  state.phase = { status: "TakingOver", flight, live };
  return [
    { type: "txn", id: flight.id, compares: compares(state, FENCE_KEY, HEAD_KEY, STORE_KEY), writes: flight.writes },
  ];
}

/** Connecting -> Loading: the store is ours alone and what stands in it is known. */
function startLoading(state: PublisherState, { now, wallMicros }: PublisherEvent): PublisherEffect[] {
  state.storeId = state.stored.meta(STORE_KEY)?.value ?? state.storeId;
  state.phase = { status: "Loading", flights: new Map(), last: undefined };
  compareAll(state);
  return [{ type: "watch", from: state.listedAt + 1n }, ...pump(state, now, wallMicros)];
}

// ---- answers -----------------------------------------------------------------------------------------------------

function onCommitted(state: PublisherState, event: Event<"committed">): PublisherEffect[] {
  const flight = flightOf(state, event.id);
  if (flight === undefined) return [];
  state.failures = 0;
  landed(state, flight, event.revision);
  const { phase } = state;
  if (phase.status === "Loading" && phase.last === undefined) phase.flights.delete(flight.id);
  else return headLanded(state, event);
  return pump(state, event.now, event.wallMicros);
}

/** Our head stands in the store: TakingOver -> Live or Connecting, Loading -> Live, Resolving -> Live. */
function headLanded(state: PublisherState, { now, wallMicros }: PublisherEvent): PublisherEffect[] {
  const { phase } = state;
  state.headAt = now;
  state.message = "";
  state.storeId = state.stored.meta(STORE_KEY)?.value ?? state.storeId;
  state.renewStoreId = false;
  state.heldFence = true;
  state.suspect = false;
  if (phase.status === "TakingOver" && !phase.live) return connect(state);
  const effects: PublisherEffect[] = [];
  if (phase.status === "TakingOver") {
    compareAll(state);
    effects.push({ type: "watch", from: state.listedAt + 1n });
  }
  const beatAt = phase.status === "Live" ? phase.beatAt : now + BEAT_MS;
  state.phase = { status: "Live", flight: undefined, beatAt };
  return [...effects, { type: "wake", ms: Math.max(1, beatAt - now) }, ...pump(state, now, wallMicros)];
}

function landed(state: PublisherState, flight: Flight, revision: bigint): void {
  state.stored.commit(flight.writes, revision);
  state.revision = larger(state.revision, revision);
  for (const { key } of flight.writes) compareKey(state, key, 0);
}

/** The comparison failed. Live -> Resolving: another instance, or our own txn whose answer had got lost. */
function onRejected(state: PublisherState, event: Event<"rejected">): PublisherEffect[] {
  const flight = flightOf(state, event.id);
  if (flight === undefined) return [];
  if (state.phase.status !== "Live") return surprise(state, CHANGED);
  state.phase = { status: "Resolving", flight };
  return [{ type: "read-head" }];
}

function onFailed(state: PublisherState, event: Event<"failed">): PublisherEffect[] {
  const flight = flightOf(state, event.id);
  if (flight === undefined) return [];
  state.message = event.sentence;
  const { phase } = state;
  // What may still happen is fenced off by a new fence: list and take over again.
  if (phase.status !== "Live") {
    state.suspect ||= event.mayHaveHappened;
    return surprise(state, event.sentence);
  }
  state.phase = { status: "Resolving", flight };
  return [retry(state)];
}

/** After a rejection, a lost answer, or in Standby: who writes, and did ours happen? */
function onHeadRead(state: PublisherState, event: Event<"head-read">): PublisherEffect[] {
  const [head, fence] = [readHead(event.head), readFence(event.fence)];
  const { phase } = state;
  if (phase.status === "Standby") return watchOther(state, head, event.now);
  if (!isWriting(state)) return [];
  if (head !== undefined && fence !== undefined && fence !== state.options.instance) {
    return stepDown(state, fence, head.seq, event.now);
  }
  const flight = phase.status === "Resolving" ? phase.flight : undefined;
  if (flight === undefined || head === undefined || event.head === undefined) {
    return surprise(state, CHANGED);
  }
  if (head.writer === state.options.instance && head.seq === flight.seq) {
    state.failures = 0;
    landed(state, flight, event.head.modRevision);
    return headLanded(state, event);
  }
  if (event.head.modRevision !== state.stored.meta(HEAD_KEY)?.modRevision) {
    return surprise(state, CHANGED);
  }
  state.phase = { status: "Live", flight: undefined, beatAt: event.now };
  return pump(state, event.now, event.wallMicros);
}

// ---- others ------------------------------------------------------------------------------------------------------

/** Live, … -> Standby: another instance has put its fence. */
function stepDown(state: PublisherState, writer: string, seq: bigint, now: number): PublisherEffect[] {
  state.message = `Instance "${writer}" publishes for this cluster`;
  state.heldFence = false;
  state.phase = { status: "Standby", writer, seq, since: now };
  return [{ type: "wake", ms: BEAT_MS }];
}

/** Standby -> Connecting once the writer's head has stood still for long. */
function watchOther(state: PublisherState, head: Head | undefined, now: number): PublisherEffect[] {
  const { phase } = state;
  if (phase.status !== "Standby") return [];
  if (head === undefined) return surprise(state, "The store has no head: taking over");
  if (head.seq !== phase.seq) return stepDown(state, head.writer, head.seq, now);
  const jitter = 1 + 0.2 * random(state);
  if (now - phase.since > SILENT_MS * jitter)
    return surprise(state, `Instance "${phase.writer}" is silent: taking over`);
  return [{ type: "wake", ms: BEAT_MS }];
}

function onSeen(state: PublisherState, event: Event<"seen">): PublisherEffect[] {
  if (!isWriting(state)) return [];
  let fenced = false;
  for (const each of event.events) {
    state.revision = larger(state.revision, each.modRevision);
    if (!state.stored.see(each, each.deleted)) continue;
    const trouble = metaTrouble(state, each);
    if (trouble === "fenced") fenced = true;
    else if (trouble !== undefined) return surprise(state, trouble);
    compareKey(state, each.key, 0);
  }
  if (fenced) return [{ type: "read-head" }];
  return pump(state, event.now, event.wallMicros);
}

function metaTrouble(
  state: PublisherState,
  { key, value, modRevision, deleted }: Standing & { deleted: boolean },
): string | undefined {
  if (key === FENCE_KEY || key === HEAD_KEY) {
    if (deleted) return `The store lost its ${key}: taking over again`;
    const standing = { key, value, modRevision };
    const writer = key === FENCE_KEY ? readFence(standing) : readHead(standing)?.writer;
    if (writer === undefined) return `The store holds a ${key} that cannot be read: taking over again`;
    if (writer !== state.options.instance) return "fenced";
    return undefined;
  }
  if (key === STORE_KEY && (deleted || !sameBytes(value, state.storeId)))
    return "The store's id changed: reading it again";
  return undefined;
}

function onChanged(state: PublisherState, { change, now, wallMicros }: Event<"changed">): PublisherEffect[] {
  for (const record of change.upserts) {
    if (fits(state, record)) state.wanted.set(record);
    else state.wanted.delete(record.key);
    compareKey(state, record.key, change.observedMicros);
  }
  for (const { key } of change.deletes) {
    state.wanted.delete(key);
    state.tooLarge.delete(key);
    compareKey(state, key, change.observedMicros);
  }
  return pump(state, now, wallMicros);
}

function onTick(state: PublisherState, { now, wallMicros }: Event<"tick">): PublisherEffect[] {
  switch (state.phase.status) {
    case "Connecting":
    case "Refused":
      return connect(state);
    case "Resolving":
    case "Standby":
      return [{ type: "read-head" }];
    default:
      return pumpOrWait(state, now, wallMicros);
  }
}

/** A timer may fire a little early: the beat is then still to come, and somebody must wake us for it. */
function pumpOrWait(state: PublisherState, now: number, wallMicros: number): PublisherEffect[] {
  const effects = pump(state, now, wallMicros);
  const { phase } = state;
  if (effects.length > 0 || phase.status !== "Live" || phase.flight !== undefined) return effects;
  return [{ type: "wake", ms: Math.max(1, Math.ceil(phase.beatAt - now)) }];
}

// ---- small parts -------------------------------------------------------------------------------------------------

/** True while the watch of our prefix tells what stands in it. */
function isWriting({ phase }: PublisherState): boolean {
  return phase.status === "Live" || phase.status === "Loading" || phase.status === "Resolving";
}

/** Doubles from 100 ms to 2 s, jittered. */
function retry(state: PublisherState): PublisherEffect {
  const full = Math.min(2_000, 100 * 2 ** Math.min(state.failures++, 10));
  return { type: "wake", ms: Math.round(full * (0.5 + random(state) / 2)) };
}

function random(state: PublisherState): number {
  return (state.options.random ?? Math.random)();
}

function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
