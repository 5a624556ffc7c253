/** Reading a ring buffer on its own thread: order, batches, wrapping, a busy main thread, a full queue. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { native, type RingBatch } from "./native.js";
import { eachRecord, readRingEvents } from "./ring-events.js";
import { uniqueName } from "./testing/cgroup.js";
import { loadTestObject } from "./testing/objects.js";

const RING = "mesh_test_events";
const EMIT = fileURLToPath(new URL("./testing/emit-main.js", import.meta.url));
const MIB = 1 << 20;
/** Bytes of an event in a batch: 8 of the head, 8 of data. */
const EVENT = 16;
/** An event that is lost without being counted would be awaited for ever. */
const LIMIT = { timeout: 60_000 };

function numbersOf(batch: RingBatch): number[] {
  const numbers: number[] = [];
  eachRecord(batch, (view, offset) => numbers.push(view.getUint32(offset, true)));
  return numbers;
}

const upTo = (end: number) => Array.from({ length: end }, (_, i) => i);

/** A reader that collects what it gets. By default the ring has room for 65,536 events, the queue for twice as many. */
function setUp(t: TestContext, { ringBytes = MIB, queueBytes = 2 * MIB } = {}) {
  const loaded = loadTestObject(t, "events_test", { [RING]: ringBytes });
  const batches: RingBatch[] = [];
  const arrivals: (() => void)[] = [];
  const reader = readRingEvents(loaded.map(RING), queueBytes, (batch) => {
    batches.push(batch);
    for (const resolve of arrivals.splice(0)) resolve();
  });
  t.after(() => reader.close());
  const numbers = () => batches.flatMap(numbersOf);
  return {
    loaded,
    batches,
    numbers,
    emit: (events: number) => native().testRun(loaded.program("emit"), new Uint8Array(64), events),
    /** Resolves when the event of this number was handed over. */
    async received(last: number): Promise<void> {
      while (numbers().at(-1) !== last) await new Promise<void>((resolve) => arrivals.push(resolve));
    },
  };
}

test(
  "events arrive in bulk, in order, in batches of at most 64 KiB and without discarded records",
  LIMIT,
  async (t) => {
    const { batches, numbers, emit, received } = setUp(t);
    await emit(20_000);
    await received(19_999);
    assert.deepEqual(numbers(), upTo(20_000));
    assert.ok(batches.length >= 5 && batches.length < 2000, `${batches.length} batches`);
    assert.ok(batches.every(({ records, lost }) => records.length <= 65_536 && lost === 0));
  },
);

test("a ring buffer that wraps around loses only the records that had no room in it", LIMIT, async (t) => {
  const { batches, emit, numbers } = setUp(t, { ringBytes: 65_536 });
  let runs = 0;
  for (; runs < 30_000; runs += 6000) await emit(6000);
  for (let refused = true; refused; runs++) refused = (await emit(1)).retval !== 0;
  // An event has its number, and the number of those before it that found no room.
  const newest = () => {
    let event = { number: -1, lost: 0 };
    const last = batches.at(-1);
    if (last !== undefined)
      eachRecord(last, (view, at) => {
        event = { number: view.getUint32(at, true), lost: view.getUint32(at + 4, true) };
      });
    return event;
  };
  while (newest().number + 1 + newest().lost !== runs) await nextTurn();
  assert.deepEqual(numbers(), upTo(newest().number + 1));
});

test("a single event wakes the reader", LIMIT, async (t) => {
  const { numbers, emit, received } = setUp(t);
  for (let i = 0; i < 3; i++) {
    await emit(1);
    await received(i);
  }
  assert.deepEqual(numbers(), [0, 1, 2]);
});

/** Blocks this thread for at least 500 ms while another process writes 8 rounds of events. */
function emitWhileBlocked(t: TestContext, loaded: ReturnType<typeof setUp>["loaded"], perRound: number): void {
  const pin = join("/sys/fs/bpf", uniqueName("emit"));
  native().pin(loaded.program("emit"), pin);
  t.after(() => rmSync(pin));
  const begin = performance.now();
  execFileSync(process.execPath, [EMIT, pin, "8", `${perRound}`, "65"]);
  assert.ok(performance.now() - begin >= 500);
}

test(
  "while the main thread is blocked for 500 ms no event is lost, though the ring has room for a part only",
  LIMIT,
  async (t) => {
    const { loaded, batches, numbers, received } = setUp(t);
    emitWhileBlocked(t, loaded, 10_000);
    assert.equal(batches.length, 0);
    await received(79_999);
    assert.deepEqual(numbers(), upTo(80_000));
    assert.equal(batches.at(-1)?.lost, 0);
  },
);

test("the queue is bounded: events beyond it are lost and counted, and later ones arrive", LIMIT, async (t) => {
  const { loaded, batches, numbers, emit, received } = setUp(t, { queueBytes: 1000 * EVENT });
  emitWhileBlocked(t, loaded, 1000);
  const lost = () => batches.reduce((sum, batch) => sum + batch.lost, 0);
  while (numbers().length + lost() !== 8000) await nextTurn();
  assert.deepEqual(batches[0] && numbersOf(batches[0]), upTo(1000));
  assert.ok(lost() >= 6000, `${lost()} lost`);
  await emit(10);
  await received(8009);
  assert.equal(numbers().length + lost(), 8010);
  assert.deepEqual(
    numbers().slice(-10),
    Array.from({ length: 10 }, (_, i) => 8000 + i),
  );
});

test("a long queue is handed over with one batch per turn of the event loop", LIMIT, async (t) => {
  const { loaded, batches, received } = setUp(t);
  emitWhileBlocked(t, loaded, 5000);
  const turns: number[] = [];
  let [turn, seen] = [0, 0];
  const watch = () => {
    turn++;
    if (batches.length > seen) turns.push(batches.length - seen);
    seen = batches.length;
    if (seen < 10) setImmediate(watch);
  };
  setImmediate(watch);
  await received(39_999);
  await nextTurn();
  assert.deepEqual(
    turns,
    batches.map(() => 1),
  );
  assert.ok(turn >= 10);
});

test("a closed reader gets nothing more, also when it is closed by its listener", LIMIT, async (t) => {
  const loaded = loadTestObject(t, "events_test");
  let batches = 0;
  const done = new Promise<void>((resolve) => {
    const reader = readRingEvents(loaded.map(RING), MIB, () => {
      batches++;
      reader.close();
      resolve();
    });
  });
  await native().testRun(loaded.program("emit"), new Uint8Array(64), 1);
  await done;
  await native().testRun(loaded.program("emit"), new Uint8Array(64), 1);
  await nextTurn();
  assert.equal(batches, 1);
});
