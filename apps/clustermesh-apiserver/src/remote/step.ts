/**
 * The reader as a pure machine, one per peer: `step(state, event)` changes the state and returns what the shell must do.
 *
 *   Idle ──start──► Ranging; then
 *   Ranging ──ranged──► Following ──(compacted, set back, other store id, sums differ)──► Ranging
 *      ▲ └── wrong uid, id of another, newer version ──► Barred (looked at again by itself)
 *
 * Three things delete: an explicit event; absence from a range once a LIVE head's sums equal what was received; the
 * operator. Everything else keeps what it has.
 */
import { HEAD_KEY, STORE_KEY } from "@isthmus/kvstore";
import type { ClusterClaim, Head } from "@isthmus/proto";
import { createRecordTable, type HashedRecord, remotePosition, type SourceChange, sameBytes } from "@isthmus/records";
import type { ReaderEffect, ReaderEvent, Seen } from "./events.js";
import {
  applyRecord,
  compareSums,
  decodeHead,
  type Gone,
  isLive,
  prove,
  replaceReceived,
  takeHead,
} from "./received.js";
import { createSkew } from "./skew.js";
import { BARRED_RETRY_MS, BEAT_MS, READER_VERSION, type ReaderOptions, type ReaderState, STALE_MS } from "./state.js";

type Event<T extends ReaderEvent["type"]> = Extract<ReaderEvent, { type: T }>;

export function createReaderState(options: ReaderOptions): ReaderState {
  return {
    options,
    phase: { status: "Idle" },
    uid: "",
    received: createRecordTable(),
    unproved: new Map(),
    storeId: undefined,
    position: undefined,
    revision: 0n,
    head: undefined,
    headRevision: 0n,
    beatAt: undefined,
    equal: false,
    mismatches: 0,
    repairs: 0,
    failures: 0,
    connected: false,
    message: "",
    barred: undefined,
    skew: createSkew(),
  };
}

export function step(state: ReaderState, event: ReaderEvent): ReaderEffect[] {
  if (state.phase.status === "Removed") return [];
  switch (event.type) {
    case "start":
      return range(state);
    case "ranged":
      return state.phase.status === "Ranging" ? onRanged(state, event) : [];
    case "range-failed":
      state.connected = false;
      state.message = event.sentence;
      return state.phase.status === "Ranging" ? [{ type: "wake", ms: backoffMs(state) }] : [];
    case "opened":
      return onOpened(state, event);
    case "lost":
      state.connected = false;
      state.message = event.sentence;
      return [];
    case "store-checked":
      return onStoreChecked(state, event);
    case "check-failed":
      return isFollowing(state, event.open) ? [{ type: "wake", ms: backoffMs(state) }] : [];
    case "seen":
      return onSeen(state, event);
    case "watch-over":
      state.message = event.sentence;
      return state.phase.status === "Following" ? range(state) : [];
    case "probed":
      return onProbed(state, event);
    case "judge-again":
      return judgeAgain(state);
    case "permitted":
      state.uid = event.uid;
      state.barred = event.refusal;
      return state.phase.status === "Idle" ? [] : range(state);
    case "removed":
      return onRemoved(state);
    case "tick":
      return onTick(state, event);
  }
}

// ---- ranging -----------------------------------------------------------------------------------------------------

/** * -> Ranging */
function range(state: ReaderState): ReaderEffect[] {
  if (state.barred !== undefined) return bar(state, state.barred);
  state.phase = { status: "Ranging" };
  return [{ type: "unwatch" }, { type: "range" }];
}

/** * -> Barred: what we have stays, nothing new is taken. */
function bar(state: ReaderState, sentence: string): ReaderEffect[] {
  state.phase = { status: "Barred", sentence };
  return [{ type: "unwatch" }, { type: "wake", ms: BARRED_RETRY_MS }];
}

/** Ranging -> Following or Barred */
function onRanged(state: ReaderState, event: Event<"ranged">): ReaderEffect[] {
  const metas = new Map(event.metas.map((meta) => [meta.key, meta]));
  const headMeta = metas.get(HEAD_KEY);
  const head = headMeta === undefined ? undefined : decodeHead(headMeta.value);
  const refusal = refusePeer(state, event.claim, head);
  if (refusal !== undefined) return bar(state, refusal);
  state.connected = true;
  state.message = "";
  state.failures = 0;
  state.storeId = metas.get(STORE_KEY)?.value;
  state.revision = event.revision;
  takeHead(state, headMeta, event.now);
  const content = replaceReceived(state, event.records);
  compareSums(state);
  state.phase = { status: "Following", open: 0, checked: 0, held: [], heldRevision: 0n };
  const effects: ReaderEffect[] = [{ type: "watch", from: event.revision + 1n }];
  if (state.storeId !== undefined) effects.push(emit(state, content.upserts, [...content.deletes, ...prove(state)], 0));
  return [...effects, { type: "wake", ms: wakeMs(state, event.now) }];
}

// ---- following ---------------------------------------------------------------------------------------------------

function onOpened(state: ReaderState, { open }: Event<"opened">): ReaderEffect[] {
  if (state.phase.status !== "Following") return [];
  state.connected = true;
  state.phase.open = open;
  return [{ type: "check-store", open }];
}

/** The stream is trusted once its store is known to be ours: a wiped one may be at any revision. */
function onStoreChecked(state: ReaderState, event: Event<"store-checked">): ReaderEffect[] {
  const { phase } = state;
  if (phase.status !== "Following" || !isFollowing(state, event.open)) return [];
  if (!sameStore(state.storeId, event.storeId) || event.revision < state.revision) {
    state.message = "The store was wiped or restored: reading it again";
    return range(state);
  }
  phase.checked = event.open;
  state.message = "";
  state.failures = 0;
  const { held, heldRevision } = phase;
  phase.held = [];
  return held.length === 0 ? [] : apply(state, held, heldRevision, event);
}

function onSeen(state: ReaderState, event: Event<"seen">): ReaderEffect[] {
  const { phase } = state;
  if (phase.status !== "Following") return [];
  if (phase.checked === phase.open) return apply(state, event.events, event.revision, event);
  phase.held.push(...event.events);
  phase.heldRevision = event.revision;
  return [];
}

/** Complete revisions, each compared where it touches the head. */
function apply(state: ReaderState, events: readonly Seen[], revision: bigint, at: ReaderEvent): ReaderEffect[] {
  // First what forbids to take any of it: nothing may be received and not handed on.
  if (events.some(({ key }) => key === STORE_KEY)) return storeChanged(state);
  if (state.storeId === undefined) return []; // a position needs a store: onTick looks again
  for (const { key, value, deleted } of events) {
    const refusal = key === HEAD_KEY && !deleted ? refusePeer(state, undefined, decodeHead(value)) : undefined;
    if (refusal !== undefined) return bar(state, refusal);
  }
  const upserts = new Map<string, HashedRecord>();
  const deletes = new Map<string, Gone>();
  const mismatchesBefore = state.mismatches;
  let [observed, heads, touched] = [0, 0, false];
  for (const [i, event] of events.entries()) {
    if (event.key === HEAD_KEY) {
      takeHead(state, event.deleted ? undefined : event, at.now);
      observed = Math.max(observed, Number(state.head?.observedUs ?? 0n));
      touched = true;
      heads++;
    } else applyRecord(state, event, upserts, deletes);
    if (!touched || events[i + 1]?.modRevision === event.modRevision) continue;
    compareSums(state);
    touched = false;
  }
  state.revision = revision;
  if (heads === 1 && state.head !== undefined) state.skew.add(Number(state.head.writtenUs), at.wallMicros);
  if (state.equal) for (const gone of prove(state)) deletes.set(gone.key, gone);
  const corrected = observed === 0 ? 0 : observed + state.skew.micros;
  const effects: ReaderEffect[] = [emit(state, [...upserts.values()], [...deletes.values()], corrected)];
  // The first difference is repaired at once; one that stays, ever more rarely (onTick).
  return mismatchesBefore === 0 && state.mismatches > 0 ? [...effects, ...repair(state)] : effects;
}

function storeChanged(state: ReaderState): ReaderEffect[] {
  state.message = "The store's id changed: reading it again";
  return range(state);
}

/** A LIVE head that does not say what we hold: an event was lost, or another hand wrote. Counted, and read again. */
function repair(state: ReaderState): ReaderEffect[] {
  state.repairs++;
  state.message = "What was received differs from what its head says: reading it again";
  return range(state);
}

// ---- time --------------------------------------------------------------------------------------------------------

function onTick(state: ReaderState, { now }: Event<"tick">): ReaderEffect[] {
  const { phase } = state;
  if (phase.status === "Ranging" || phase.status === "Barred") return range(state);
  if (phase.status !== "Following") return [];
  const wake: ReaderEffect = { type: "wake", ms: wakeMs(state, now) };
  if (phase.open > 0 && phase.checked !== phase.open) return [{ type: "check-store", open: phase.open }, wake];
  if (state.storeId === undefined) return range(state);
  // A range whose sums did not fit is not repaired by events: read again, ever more rarely.
  if (isLive(state) && !state.equal && state.mismatches > 0) return [...repair(state)];
  return isStale(state, now) ? [{ type: "probe" }, wake] : [wake];
}

/** Stale, yet the store has a newer head: the watch stands still. */
function onProbed(state: ReaderState, { headRevision }: Event<"probed">): ReaderEffect[] {
  if (state.phase.status !== "Following" || headRevision <= state.revision) return [];
  state.message = "The watch stands still while the store moves on: reading it again";
  return range(state);
}

export function isStale(state: ReaderState, now: number): boolean {
  return state.beatAt !== undefined && now - state.beatAt > STALE_MS;
}

function wakeMs(state: ReaderState, now: number): number {
  if (state.storeId === undefined) return BEAT_MS;
  if (isLive(state) && !state.equal) return Math.min(60_000, 500 * 2 ** Math.min(10, state.mismatches));
  const left = state.beatAt === undefined ? BEAT_MS : state.beatAt + STALE_MS + 1 - now;
  return left > 0 ? left : BEAT_MS;
}

// ---- operator ----------------------------------------------------------------------------------------------------

/** Takes what fits now, lets go of what does not any more. */
function judgeAgain(state: ReaderState): ReaderEffect[] {
  const { admission } = state.options;
  const [upserts, deletes]: [HashedRecord[], Gone[]] = [[], []];
  for (const record of state.received.records()) {
    const before = admission.isTaken(record.key);
    const { ok } = admission.judge(record);
    if (ok && !before) upserts.push(record);
    if (!ok && before) deletes.push({ kind: record.kind, key: record.key });
  }
  if (state.storeId === undefined || upserts.length + deletes.length === 0) return [];
  return [emit(state, upserts, deletes, 0)];
}

/** * -> Removed: the only way in which all records of a source go at once. */
function onRemoved(state: ReaderState): ReaderEffect[] {
  const { admission } = state.options;
  const deletes = [...state.received.records(), ...state.unproved.values()].map(({ kind, key }) => ({ kind, key }));
  for (const { key } of deletes) admission.forget(key);
  state.phase = { status: "Removed" };
  state.received = createRecordTable();
  state.unproved.clear();
  return [{ type: "unwatch" }, ...(state.position === undefined ? [] : [emit(state, [], deletes, 0)])];
}

// ---- small parts -------------------------------------------------------------------------------------------------

function refusePeer(
  { options, uid: expected }: ReaderState,
  claim: ClusterClaim | undefined,
  head: Head | undefined,
): string | undefined {
  const cannot = `Cannot follow cluster "${options.cluster}"`;
  if (claim !== undefined && claim.name !== options.cluster) {
    return `${cannot}: its id ${options.clusterId} is claimed by cluster "${claim.name}"`;
  }
  for (const uid of [claim?.uid, head?.clusterUid]) {
    if (uid !== undefined && expected !== "" && uid !== expected) {
      return `${cannot}: its uid is "${uid}", its MeshPeer says "${expected}"`;
    }
  }
  if (head !== undefined && head.minReader > READER_VERSION) {
    return `${cannot}: its records need a reader of version ${head.minReader}, this is ${READER_VERSION}`;
  }
  return undefined;
}

function emit(
  state: ReaderState,
  upserts: HashedRecord[],
  deletes: readonly Gone[],
  observedMicros: number,
): ReaderEffect {
  const { storeId, revision } = state;
  const position = storeId === undefined ? state.position : remotePosition(storeId, revision);
  if (position === undefined) throw new Error("Nothing is handed on before the store is known");
  state.position = position;
  const change: SourceChange = { upserts, deletes: [...deletes], position, observedMicros };
  return { type: "emit", change };
}

function isFollowing({ phase }: ReaderState, open: number): boolean {
  return phase.status === "Following" && phase.open === open;
}

function sameStore(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : sameBytes(a, b);
}

/** Doubles from 100 ms to 5 s, jittered. */
function backoffMs(state: ReaderState): number {
  const full = Math.min(5_000, 100 * 2 ** Math.min(state.failures++, 10));
  return Math.round(full * (0.5 + (state.options.random ?? Math.random)() / 2));
}
