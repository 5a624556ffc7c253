import assert from "node:assert/strict";
import { test } from "node:test";
import { type LocalEvent, type LocalState, localStep } from "./local-state.js";

const START: LocalState = { phase: "Syncing", uid: undefined, epoch: "" };
const identified = (uid: string, inSync = true): LocalEvent => ({ type: "identified", uid, inSync });
const changed = (inSync = true): LocalEvent => ({ type: "changed", inSync });
const RESTORED: LocalEvent = { type: "restored" };

/** Each line: the phase after the event, and what is to be done. */
function story(...events: readonly LocalEvent[]): readonly string[] {
  let state = START;
  return events.map((event) => {
    const step = localStep(state, event);
    state = step.state;
    return [state.phase, ...step.effects].join(" ");
  });
}

function stateAfter(...events: readonly LocalEvent[]): LocalState {
  return events.reduce((state, event) => localStep(state, event).state, START);
}

test("nothing is applied before the uid is known and all types are listed, whichever comes last", () => {
  assert.deepEqual(story(changed(false), identified("u", false), changed(false), changed(), changed()), [
    "Syncing",
    "Syncing",
    "Syncing",
    "Following apply",
    "Following apply",
  ]);
  assert.deepEqual(story(changed(), identified("u")), ["Syncing", "Following apply"]);
});

test("after a restore everything is listed once, then applied under a new epoch that is saved first", () => {
  const relisted: LocalEvent = { type: "relisted", epoch: "e2" };
  assert.deepEqual(story(identified("u"), RESTORED, RESTORED, changed(), relisted, changed()), [
    "Following apply",
    "Relisting relist",
    "Relisting",
    "Relisting",
    "Following save apply report",
    "Following apply",
  ]);
  assert.deepEqual(stateAfter(identified("u"), RESTORED, relisted), { phase: "Following", uid: "u", epoch: "e2" });
});

test("another cluster behind the same address is a restore; a uid that becomes known while listing again is not", () => {
  const relisted: LocalEvent = { type: "relisted", epoch: "e2" };
  assert.deepEqual(story(identified("u"), identified("v"), relisted), [
    "Following apply",
    "Relisting relist",
    "Following save apply report",
  ]);
  assert.equal(stateAfter(identified("u"), identified("v"), relisted).uid, "v");
  assert.deepEqual(story(RESTORED, identified("u"), relisted), [
    "Relisting relist",
    "Relisting",
    "Following save apply report",
  ]);
});

test("a restore before the uid is known ends in Syncing, with the new epoch saved", () => {
  const relisted: LocalEvent = { type: "relisted", epoch: "e2" };
  assert.deepEqual(story(RESTORED, relisted, identified("u")), [
    "Relisting relist",
    "Syncing save report",
    "Following apply",
  ]);
});

test("a saved epoch is adopted only when it differs, and is applied only while following", () => {
  const confirmed = (epoch: string): LocalEvent => ({ type: "confirmed", epoch });
  assert.deepEqual(story(identified("u"), confirmed(""), confirmed("e1"), confirmed("e1")), [
    "Following apply",
    "Following",
    "Following apply",
    "Following",
  ]);
  assert.deepEqual(story(RESTORED, confirmed("e1")), ["Relisting relist", "Relisting"]);
  assert.equal(stateAfter(confirmed("e1")).epoch, "e1");
});
