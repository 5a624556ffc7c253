/** The state of a peer in each phase of its reader, and its two fields in a report: the enum, and the text for older readers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SourceReport } from "@isthmus/proto";
import { peerStates, STALE_MS } from "@isthmus/records";
import { createModelPublisher, createModelStore } from "../publish/testing/model-store.js";
import { sourceReport } from "./report.js";
import { slice } from "./testing/fixture.js";
import { createModelReader, settleBoth } from "./testing/model-reader.js";

test("a report has the state as enum and as text, from Connecting to Removed", () => {
  const [store, clock] = [createModelStore(), { now: 0 }];
  const publisher = createModelPublisher(store, clock, "p1", () => 0.5);
  publisher.feed({ type: "changed", change: { upserts: [slice(1, 1)], deletes: [], observedMicros: 1 } });
  publisher.feed({ type: "start" });
  const reader = createModelReader(store, clock);
  const states: string[] = [];
  const look = (): void => {
    const { state, peerState } = SourceReport.decode(
      SourceReport.encode(sourceReport(reader.state, clock.now)).finish(),
    );
    assert.equal(state, peerStates.name(peerState));
    states.push(`${reader.state.phase.status} ${state}`);
  };
  look();
  reader.feed({ type: "start" });
  look();
  reader.feed({ type: "permitted", uid: "", refusal: "Cannot follow it" });
  look();
  reader.feed({ type: "permitted", uid: "", refusal: undefined });
  settleBoth(clock, store, publisher, reader);
  look();
  clock.now += STALE_MS + 1;
  look();
  reader.feed({ type: "permitted", uid: "", refusal: "Cannot follow it" });
  look();
  reader.feed({ type: "removed" });
  look();
  assert.deepEqual(states, [
    "Idle Connecting",
    "Listing Connecting",
    "Blocked Refused",
    "Following InSync",
    "Following Stale",
    "Blocked Refused",
    "Removed Removed",
  ]);
});
