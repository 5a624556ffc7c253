/** The reader while the store of its watch stream is not checked: memory is bounded, and no event is lost. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { HEAD_KEY, STORE_KEY } from "@isthmus/kvstore";
import { Head, HeadState } from "@isthmus/proto";
import { createRecordTable, STORE_KINDS } from "@isthmus/records";
import { createAddressClaims } from "./address-claims.js";
import { createAdmission } from "./admission.js";
import type { ReaderEvent, WatchedChange } from "./events.js";
import { limitsOf } from "./peer.js";
import { createPendingEvents } from "./pending-events.js";
import type { ReaderState } from "./state.js";
import { createReaderState, step } from "./step.js";
import { LOCAL, peer, slice } from "./testing/fixture.js";

const STORE = Buffer.alloc(16, 1);
const at = { now: 0, wallMicros: 0 };

function seen(i: number, size = 0): WatchedChange {
  const record = slice(1, i, 0, size);
  return { key: record.key, value: record.value, modRevision: BigInt(100 + i), deleted: false, record };
}

/** A reader that follows an empty store at revision 99; its first stream is open and not checked yet. */
function following(held: { events: number; bytes: number }): ReaderState {
  const east = peer("east", 1);
  const admission = createAdmission(limitsOf(east, LOCAL, [east]), createAddressClaims());
  const state = createReaderState({ cluster: "east", clusterId: 1, admission, pendingLimits: held });
  step(state, { ...at, type: "start" });
  const head = Head.encode(
    Head.create({ clusterUid: "u", state: HeadState.HEAD_STATE_LIVE, sums: createRecordTable().sums(STORE_KINDS) }),
  ).finish();
  const metas = [
    { key: STORE_KEY, value: STORE, modRevision: 1n },
    { key: HEAD_KEY, value: head, modRevision: 99n },
  ];
  step(state, { ...at, type: "listed", records: [], metas, claim: undefined, revision: 99n });
  step(state, { ...at, type: "opened", open: 1 });
  return state;
}

const effects = (state: ReaderState, event: ReaderEvent) => step(state, event).map(({ type }) => type);

test("events within the bounds wait for the check and are applied after it", () => {
  const state = following({ events: 3, bytes: 10_000 });
  for (let i = 0; i < 3; i++) {
    assert.deepEqual(effects(state, { ...at, type: "seen", events: [seen(i)], revision: BigInt(100 + i) }), []);
  }
  assert.equal(state.received.size, 0);
  assert.deepEqual(effects(state, { ...at, type: "store-checked", open: 1, storeId: STORE, revision: 103n }), ["emit"]);
  assert.deepEqual([state.received.size, state.revision, state.overflows], [3, 102n, 0]);
});

test("events of a stream that ended before its store was checked are never applied: the store is listed", () => {
  const state = following({ events: 3, bytes: 10_000 });
  step(state, { ...at, type: "seen", events: [seen(0)], revision: 100n });
  step(state, { ...at, type: "lost", sentence: "reset" });
  assert.deepEqual(effects(state, { ...at, type: "opened", open: 2 }), ["check-store"]);
  const asked = effects(state, { ...at, type: "store-checked", open: 2, storeId: STORE, revision: 103n });
  assert.deepEqual(asked, ["unwatch", "list"]);
  assert.deepEqual([state.received.size, state.revision, state.phase.status], [0, 99n, "Listing"]);
});

test("a stream without events that ended before its store was checked costs no listing", () => {
  const state = following({ events: 3, bytes: 10_000 });
  step(state, { ...at, type: "lost", sentence: "reset" });
  step(state, { ...at, type: "opened", open: 2 });
  assert.deepEqual(effects(state, { ...at, type: "store-checked", open: 2, storeId: STORE, revision: 103n }), []);
  assert.deepEqual(effects(state, { ...at, type: "seen", events: [seen(0)], revision: 100n }), ["emit"]);
});

for (const [what, limits, size] of [
  ["events", { events: 3, bytes: 1_000_000 }, 0],
  ["bytes", { events: 1000, bytes: 5000 }, 2000],
] as const) {
  test(`with more ${what} than allowed the watch is stopped, counted, and the store is listed again after the check`, () => {
    const state = following(limits);
    for (let i = 0; i < 50 && state.overflows === 0; i++) {
      const given = effects(state, { ...at, type: "seen", events: [seen(i, size)], revision: BigInt(100 + i) });
      if (state.overflows > 0) assert.deepEqual(given, ["unwatch"]);
    }
    assert.equal(state.overflows, 1);
    assert.ok(state.phase.status === "Following" && state.phase.held.events.length === 0);
    assert.match(state.message, /too many events/i);
    // The check is repeated until it succeeds; only then is the store listed again.
    effects(state, { ...at, type: "check-failed", open: 1, sentence: "late" });
    assert.deepEqual(effects(state, { ...at, type: "tick" }), ["check-store", "wake"]);
    assert.deepEqual(effects(state, { ...at, type: "store-checked", open: 1, storeId: STORE, revision: 300n }), [
      "unwatch",
      "list",
    ]);
    assert.equal(state.revision, 99n, "no event was applied");
  });
}

test("the waiting events are bounded, however many arrive", () => {
  const held = createPendingEvents({ events: 10, bytes: 1000 });
  for (let i = 0; i < 1000; i++) held.add([seen(i)], BigInt(i));
  assert.deepEqual([held.events.length, held.dropped], [0, true]);
});
