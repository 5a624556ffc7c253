/**
 * The commit rule under load: programs read in test runs on other threads while this thread writes. In millions of
 * reads, no program may see a mix of two states.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { createGracePeriod } from "./grace.js";
import {
  BackendRow,
  backendId,
  backendIndex,
  Limit,
  nextGeneration,
  ServiceRow,
  TableLine,
  TierWord,
} from "./index.js";
import { loadTestObject, openSelection } from "./testing/objects.js";
import { READERS, RUNS, race } from "./testing/race.js";
import { frontend, insertFrontends } from "./testing/writer.js";

/** The part of a backend row after its id; readers can check it against the id. */
function checkedBody(id: number): Uint8Array {
  const addr = new Uint8Array(16);
  new DataView(addr.buffer).setUint32(12, id, true);
  const port = ((id & 0xff) << 8) | ((id >> 8) & 0xff);
  const row = BackendRow.encode({ id: 0, port, proto: 6, state: 0, node: 0, cluster: 1, zone: 0, flags: 0, addr });
  return row.subarray(BackendRow.offsets.port);
}

const SIDE = 10;

test("readers never see a mix of states while tier words, lines and backends change", async (t) => {
  const loaded = loadTestObject(t, "race_test");
  const { services, backends, tables } = await openSelection(loaded);
  const held = loaded.array("mesh_test_held");
  const segment = tables.segments[0];
  assert.ok(segment);
  const generations = [1, 1];
  const gracePeriod = createGracePeriod();

  const indexes = (side: number) => Array.from({ length: SIDE }, (_, i) => 1 + side * SIDE + i);
  const line = (side: number) => side * 100;
  const word = (side: number, slots: number) =>
    TierWord.toWord({ line: line(side), slots, tries: 3, maglev: 0, cluster: 0 });
  const flip = (side: number, slots = SIDE) =>
    services.storeWords64(
      Uint32Array.of(1),
      Uint32Array.of(ServiceRow.offsets.tier),
      BigUint64Array.of(word(side, slots)),
    );

  /** Waits for a grace period while the tier words of the live side keep changing. */
  async function graceUnderFire(side: number): Promise<void> {
    let over = false;
    const grace = gracePeriod().finally(() => {
      over = true;
    });
    while (!over) {
      for (let i = 0; i < 200; i++) flip(side, 1 + (i % SIDE));
      await setImmediate();
    }
    await grace;
  }

  /** Gives the unused side new backends in the same slots, by the commit rule. */
  async function renew(side: number): Promise<void> {
    generations[side] = nextGeneration(generations[side] ?? 1);
    await graceUnderFire(1 - side);
    const rows = Uint32Array.from(indexes(side));
    const idPlaces = new Uint32Array(SIDE).fill(BackendRow.offsets.id);
    backends.storeWords32(rows, idPlaces, new Uint32Array(SIDE));
    await graceUnderFire(1 - side);
    const ids = indexes(side).map((index) => backendId(generations[side] ?? 1, index));
    backends.writeBodies(rows, Buffer.concat(ids.map(checkedBody)), BackendRow.offsets.port);
    backends.storeWords32(rows, idPlaces, Uint32Array.from(ids));
    for (const [i, id] of ids.entries()) held.storeWord32(side * SIDE + i, 0, id);
    segment?.writeBody(line(side), TableLine.encode({ id: ids }));
  }

  await renew(0);
  await renew(1);
  flip(0);
  let side = 0;
  const counts = await race(t, loaded, ["race_choose", "race_held"], 4, async () => {
    side = 1 - side;
    flip(side);
    await renew(1 - side);
  });
  assert.ok(counts.reads >= 4 * 2 * READERS * RUNS, `${counts.reads} reads`);
  assert.equal(counts.mixed, 0);
  assert.equal(counts.none, 0);
});

/**
 * Endpoints of one Service change in place; every reader with a word since the last grace period must find a backend.
 */
test("every reader finds a backend while slots of the table move, are filled and are cut off", async (t) => {
  const loaded = loadTestObject(t, "race_test");
  const { services, backends, tables } = await openSelection(loaded);
  const segment = tables.segments[0];
  assert.ok(segment);
  const gracePeriod = createGracePeriod();
  const slots: number[] = [];
  const [free, freed]: [number[], number[]] = [Array.from({ length: 200 }, (_, i) => i + 1), []];
  const generations = new Map<number, number>();
  let turn = 0;

  const setSlot = (slot: number, id: number) => {
    slots[slot] = id;
    segment.storeWord32(Math.floor(slot / Limit.LineSlots), 4 * (slot % Limit.LineSlots), id);
  };
  /** With one probe, a reader that hits a slot without a live backend finds none. */
  const setCount = () => {
    const word = TierWord.toWord({ line: 0, slots: slots.length, tries: 0, maglev: 0, cluster: 0 });
    services.storeWord64(1, ServiceRow.offsets.tier, word);
  };

  /** Creates a backend in a row that no program can reach any more; undefined when there is none. */
  function createBackend(): number | undefined {
    const index = free.shift();
    if (index === undefined) return undefined;
    const generation = nextGeneration(generations.get(index) ?? 0);
    generations.set(index, generation);
    const id = backendId(generation, index);
    backends.writeBody(index, checkedBody(id), BackendRow.offsets.port);
    backends.storeWord32(index, BackendRow.offsets.id, id);
    return id;
  }

  function more(): void {
    const id = slots.length < 40 ? createBackend() : undefined;
    if (id === undefined) return;
    setSlot(slots.length, id);
    setCount();
  }

  function less(): void {
    if (slots.length < 2) return;
    const at = (turn * 7) % slots.length;
    const [id = 0, last = 0] = [slots[at], slots.at(-1)];
    setSlot(at, last);
    slots.pop();
    setCount();
    freed.push(id);
  }

  function exchange(): void {
    const id = createBackend();
    if (id === undefined) return;
    const at = (turn * 11) % slots.length;
    freed.push(slots[at] ?? 0);
    setSlot(at, id);
  }

  /** Waits for a grace period while changes continue. */
  async function graceUnderFire(): Promise<void> {
    let over = false;
    const grace = gracePeriod().finally(() => {
      over = true;
    });
    while (!over) {
      for (let i = 0; i < 20; i++) {
        turn++;
        (turn % 3 === 0 ? exchange : turn % 40 < 20 ? more : less)();
      }
      await setImmediate();
    }
    await grace;
  }

  /** Clears the ids of backends that left before a grace period; their rows are reused after a second one. */
  async function collect(): Promise<void> {
    const round = freed.splice(0).map((id) => backendIndex(id));
    await graceUnderFire();
    for (const index of round) backends.storeWord32(index, BackendRow.offsets.id, 0);
    await graceUnderFire();
    free.push(...round);
  }

  more();
  const counts = await race(t, loaded, ["race_choose"], 4, collect);
  assert.ok(counts.reads >= 4 * READERS * RUNS, `${counts.reads} reads`);
  assert.ok(turn > 100, `${turn} changes`);
  assert.deepEqual([counts.mixed, counts.none], [0, 0]);
});

test("the same readers detect a writer that breaks the commit rule", async (t) => {
  const loaded = loadTestObject(t, "race_test");
  const { services, backends, tables } = await openSelection(loaded);
  const ids = [backendId(1, 1), backendId(2, 1)];
  tables.segments[0]?.writeBody(0, TableLine.encode({ id: ids }));
  services.storeWord64(1, 0, TierWord.toWord({ line: 0, slots: 2, tries: 1, maglev: 0, cluster: 0 }));
  async function breakTheRule(): Promise<void> {
    for (let i = 0; i < 2000; i++) {
      const id = ids[i & 1] ?? 0;
      backends.writeBody(1, checkedBody(id), BackendRow.offsets.port); // while the other id is still there
      backends.storeWord32(1, BackendRow.offsets.id, id);
    }
    await setImmediate();
  }
  // On a busy machine readers may run while the writer does not, so the test repeats until they overlap.
  let mixed = 0;
  for (let i = 0; i < 100 && mixed === 0; i++) mixed = (await race(t, loaded, ["race_choose"], 1, breakTheRule)).mixed;
  assert.ok(mixed > 0, "the readers detected no mix of states");
});

test("while frontends are inserted and deleted, readers never get another key's and never miss an existing one", async (t) => {
  const loaded = loadTestObject(t, "race_test");
  const frontends = (await openSelection(loaded)).frontends();
  const rows = Array.from({ length: 1023 }, (_, i) => frontend("10.96.0.1", i + 1, 6, i + 2));
  await insertFrontends(frontends, rows.slice(0, 511));
  const churned = new Map(rows.slice(511));
  async function churn(): Promise<void> {
    assert.equal((await frontends.insert(churned)).failed.size, 0);
    await setImmediate();
    assert.equal((await frontends.delete(new Set(churned.keys()))).failed.size, 0);
    await setImmediate();
  }
  let counts = await race(t, loaded, ["race_frontend"], 4, churn);
  for (let i = 0; i < 100 && counts.churned === 0; i++) counts = await race(t, loaded, ["race_frontend"], 1, churn);
  assert.ok(counts.reads > 3 * READERS * RUNS, `${counts.reads} reads`);
  assert.ok(counts.churned > 0, "no reader found a churned frontend");
  assert.equal(counts.mixed, 0);
  assert.equal(counts.lost, 0);
});
