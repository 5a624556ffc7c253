import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeSource } from "../../testing/fake-source.js";
import type { Cursor, CursorPhase } from "./cursor.js";
import { createSessionSlots } from "./session-slots.js";

function cursor(is: CursorPhase["is"] = "Live"): Cursor {
  return { phase: { is } as CursorPhase, next: () => undefined, caughtUp() {}, mark() {}, buckets() {} };
}

const [LOCAL, EAST, WEST] = [createFakeSource(0, "own"), createFakeSource(1, "east"), createFakeSource(2, "west")];

test("a source is ready when it is added or woken, until it rests; the local cluster comes first", () => {
  const slots = createSessionSlots();
  const [east, west, local] = [slots.add(EAST, cursor()), slots.add(WEST, cursor()), slots.add(LOCAL, cursor())];
  assert.equal(slots.nextReady(), local);
  slots.rest(local);
  assert.equal(slots.nextReady(), east);
  slots.rest(east);
  assert.equal(slots.nextReady(), west);
  slots.rest(west);
  assert.equal(slots.nextReady(), undefined);
  slots.wake(west);
  slots.wake(local);
  assert.equal(slots.nextReady(), local);
});

test("a removed source is not ready, and another one of its id is a new slot", () => {
  const slots = createSessionSlots();
  const first = slots.add(EAST, cursor());
  assert.equal(slots.remove(1), first);
  assert.equal(slots.nextReady(), undefined);
  assert.equal(slots.remove(1), undefined);
  const second = slots.add(EAST, cursor());
  assert.notEqual(second, first);
  assert.equal(slots.get(1), second);
});

test("only a ready slot in its first sync keeps the session syncing", () => {
  const slots = createSessionSlots();
  const live = slots.add(EAST, cursor("Live"));
  assert.equal(slots.syncing, false);
  const first = slots.add(WEST, cursor("Snapshot"));
  assert.equal(slots.syncing, true);
  slots.rest(first);
  slots.wake(live);
  assert.equal(slots.syncing, false);
});

test("withheld slots are counted until they have caught up or their source is removed", () => {
  const slots = createSessionSlots();
  const [east, west] = [slots.add(EAST, cursor()), slots.add(WEST, cursor())];
  assert.deepEqual([slots.setBehind(east, true), slots.setBehind(east, true), slots.withheld], [true, false, 1]);
  slots.setBehind(west, true);
  assert.equal(slots.withheld, 2);
  assert.deepEqual([slots.setBehind(east, false), east.behind, slots.withheld], [true, false, 1]);
  slots.remove(2);
  assert.equal(slots.withheld, 0);
});

test("only sources that the session has are taken", () => {
  const slots = createSessionSlots();
  const east = slots.add(EAST, cursor());
  const taken: unknown[] = [];
  slots.allOf([LOCAL, EAST], (slot) => taken.push(slot));
  assert.deepEqual(taken, [east]);
});
