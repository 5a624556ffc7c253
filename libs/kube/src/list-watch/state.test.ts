import assert from "node:assert/strict";
import { test } from "node:test";
import {
  endedTooSoon,
  forgetResume,
  initialState,
  type ListWatchState,
  nextAttempt,
  takeEvents,
  takeList,
  takeQuorumVersion,
  withoutStreaming,
} from "./state.js";

const NOBODY = { size: 0, floor: undefined };
const START = initialState(true);
const listed = (version: bigint, state: ListWatchState = START) => takeList(state, version, true).state;
const event = (version: bigint) => ({ version, isBookmark: false });
const bookmark = (version: bigint) => ({ version, isBookmark: true });

test("it begins with a streaming list, by pages where the API cannot, and watches from the list's version", () => {
  assert.deepEqual(nextAttempt(START, NOBODY), { is: "streaming list" });
  assert.deepEqual(nextAttempt(withoutStreaming(START), NOBODY), { is: "paged list", floor: undefined });
  assert.deepEqual(nextAttempt(initialState(false), NOBODY), { is: "paged list", floor: undefined });
  assert.deepEqual(nextAttempt(listed(7n), NOBODY), { is: "watch", from: 7n });
});

test("a caller that waits for a list gets pages: from the cache when its floor allows, else by quorum", () => {
  for (const state of [START, listed(7n)]) {
    assert.deepEqual(nextAttempt(state, { size: 2, floor: 9n }), { is: "paged list", floor: 9n });
    assert.deepEqual(nextAttempt(state, { size: 2, floor: undefined }), { is: "paged list", floor: undefined });
  }
});

test("events and bookmarks move the point to resume from; only events move the position", () => {
  const state = takeEvents(listed(7n), [event(9n), bookmark(12n), event(8n)]);
  assert.deepEqual([state.position, state.newest, state.resume], [9n, 12n, 12n]);
  assert.deepEqual(nextAttempt(state, NOBODY), { is: "watch", from: 12n });
  assert.equal(takeEvents(forgetResume(listed(7n)), [bookmark(3n)]).resume, 3n);
});

test("a list from the cache that is older than what is known is discarded, and only a quorum list resolves the doubt", () => {
  const known = takeEvents(listed(7n), [event(9n)]);
  const { state, outcome } = takeList(known, 8n, false);
  assert.equal(outcome, "discarded");
  assert.deepEqual({ ...state, doubted: false }, known);
  assert.deepEqual(nextAttempt(state, { size: 1, floor: 5n }), { is: "paged list", floor: undefined });
  assert.equal(takeList(known, 9n, false).outcome, "adopted");
  assert.deepEqual(takeList(state, 9n, true), {
    state: { position: 9n, newest: 9n, resume: 9n, doubted: false, adopted: 2, streaming: true },
    outcome: "adopted",
  });
});

test("a quorum list below the newest version is a restore, and everything continues from it", () => {
  const known = takeEvents(listed(7n), [event(9n)]);
  const { state, outcome } = takeList(known, 5n, true);
  assert.equal(outcome, "restored");
  assert.deepEqual([state.position, state.newest, state.resume, state.doubted], [5n, 5n, 5n, false]);
});

test("a quorum version below the newest one is a doubt; an equal or newer one is none", () => {
  const known = listed(7n);
  assert.equal(takeQuorumVersion(known, 6n).doubted, true);
  assert.deepEqual(nextAttempt(takeQuorumVersion(known, 6n), NOBODY), { is: "paged list", floor: undefined });
  assert.deepEqual(takeQuorumVersion(takeQuorumVersion(known, 6n), 7n), known);
});

test("after a compaction the collection is listed again, and what is known stays known", () => {
  const state = forgetResume(takeEvents(listed(7n), [event(9n)]));
  assert.deepEqual(nextAttempt(state, NOBODY), { is: "streaming list" });
  assert.deepEqual([state.position, state.newest], [9n, 9n]);
});

test("a pause follows an attempt that ended within seconds and brought no list, unless somebody waits", () => {
  const state = listed(7n);
  const attempt = { lastedMs: 4_999, adoptedBefore: 1, waiting: 0 };
  assert.equal(endedTooSoon(state, attempt), true);
  assert.equal(endedTooSoon(state, { ...attempt, lastedMs: 5_000 }), false);
  assert.equal(endedTooSoon(state, { ...attempt, adoptedBefore: 0 }), false);
  assert.equal(endedTooSoon(state, { ...attempt, waiting: 1 }), false);
  const doubted = takeQuorumVersion(state, 1n);
  assert.equal(endedTooSoon(doubted, { ...attempt, lastedMs: 99 }), true);
  assert.equal(endedTooSoon(doubted, { ...attempt, lastedMs: 100 }), false);
});
