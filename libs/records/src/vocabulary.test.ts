/** Messages of writers of adjacent versions: text without the enum, and numbers that have no name yet. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FrontendState, PeerState, PublishState, RefusalReason, SourceReport } from "@isthmus/proto";
import {
  FRONTEND_STATES,
  frontendStates,
  PEER_STATES,
  PUBLISH_STATES,
  peerStates,
  publishStates,
  REFUSAL_REASONS,
  refusalReasons,
} from "./states.js";

/** The value 7 does not exist in this version. */
const NEWER = 7 as PeerState;

test("of a writer of this version the enum counts, whatever its text says", () => {
  assert.equal(peerStates.read(PeerState.PEER_STATE_STALE, "InSync"), PeerState.PEER_STATE_STALE);
  assert.equal(peerStates.show(PeerState.PEER_STATE_STALE, "InSync"), "Stale");
});

test("of a writer of the version before the text counts; a text that is not known is shown and is no state", () => {
  const none = PeerState.PEER_STATE_UNSPECIFIED;
  assert.equal(peerStates.read(none, "InSync"), PeerState.PEER_STATE_IN_SYNC);
  assert.equal(peerStates.show(none, "InSync"), "InSync");
  assert.equal(peerStates.read(none, "Pausing"), none);
  assert.equal(peerStates.show(none, "Pausing"), "Pausing");
  assert.equal(peerStates.read(none, ""), none);
  assert.equal(peerStates.show(none, ""), "Unknown");
  assert.equal(publishStates.read(PublishState.PUBLISH_STATE_UNSPECIFIED, "Live"), PublishState.PUBLISH_STATE_LIVE);
});

test("a number of a newer version passes through the wire, is shown as a number, and equals no known state", () => {
  const bytes = SourceReport.encode(SourceReport.fromPartial({ peerState: NEWER, state: "Pausing" })).finish();
  const { peerState, state } = SourceReport.decode(bytes);
  assert.equal(peerStates.read(peerState, state), NEWER);
  assert.equal(peerStates.show(peerState, state), "Unknown (7)");
  assert.ok(PEER_STATES.every(({ value }) => value !== peerStates.read(peerState, state)));
});

test("every value of an enum has exactly one name, and no name has two values", () => {
  const numbers = (of: object) => Object.values(of).filter((value): value is number => value > 0);
  for (const [of, words, names] of [
    [PeerState, PEER_STATES, peerStates.name],
    [PublishState, PUBLISH_STATES, publishStates.name],
    [FrontendState, FRONTEND_STATES, frontendStates.name],
    [RefusalReason, REFUSAL_REASONS, refusalReasons.name],
  ] as const) {
    assert.deepEqual(words.map(({ value }) => value as number).sort(), numbers(of).sort());
    assert.equal(new Set(words.map(({ name }) => name)).size, words.length);
    for (const { value, name } of words) assert.equal(names(value as never), name);
  }
});
