/**
 * Which backend an unconnected UDP socket keeps (bpf/lib/udp.h, backend_find.h), in test runs of
 * bpf/tests/udp_test.bpf.c.
 */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { backendIndex, MAP_NAMES, Rank, rankBit } from "./index.js";
import { native } from "./native.js";
import { loadTestObject } from "./testing/objects.js";
import { createWriter } from "./testing/writer.js";

const SERVICE = 1;
const OTHER = 2;

async function setUp(t: TestContext) {
  const loaded = loadTestObject(t, "udp_test");
  const maps = {
    services: loaded.array(MAP_NAMES.services),
    backends: loaded.array(MAP_NAMES.backends),
    clusterState: loaded.array(MAP_NAMES.clusterState),
    tables: await loaded.tables(),
  };
  const writer = createWriter(maps);
  const many = (from: number, count: number) =>
    Array.from({ length: count }, (_, i) => writer.backend({ index: from + i, cluster: 2, node: 3 }));

  /** The backend id that a datagram of this socket goes to. */
  async function send(cookie: number, service = SERVICE): Promise<number> {
    const packet = Buffer.alloc(24);
    packet.writeUInt32LE(service, 16);
    packet.writeUInt32LE(cookie, 20);
    return (await native().testRun(loaded.program("udp_send"), packet, 1)).retval;
  }

  /** Sends from new sockets; returns their backends by cookie. */
  async function open(count: number): Promise<Map<number, number>> {
    const kept = new Map<number, number>();
    for (let cookie = 1; cookie <= count; cookie++) kept.set(cookie, await send(cookie));
    return kept;
  }

  /** Counts the sockets that could keep their backend, and those that did; all must get a backend of the service. */
  async function staying(kept: ReadonlyMap<number, number>, members: readonly number[]) {
    const set = new Set(members);
    const counts = { could: 0, did: 0 };
    for (const [cookie, before] of kept) {
      const now = await send(cookie);
      assert.ok(set.has(now), `socket ${cookie} went to ${now}, which is not a backend of the service`);
      if (!set.has(before)) continue;
      counts.could++;
      if (now === before) counts.did++;
    }
    return counts;
  }

  return { ...maps, ...writer, many, send, open, staying };
}

/** Pseudo-random numbers in [0, 1), the same in every run. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Tables up to 256 slots are edited in place, so their slots may be in any order. */
function shuffle<T>(list: readonly T[], random: () => number): T[] {
  return list
    .map((item) => ({ item, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

/** The order of slots does not change: removed items close up, new ones are inserted anywhere. */
function insertAnywhere<T>(list: readonly T[], items: readonly T[], random: () => number): T[] {
  const out = [...list];
  for (const item of items) out.splice(Math.floor(random() * (out.length + 1)), 0, item);
  return out;
}

test("a socket leaves a backend that left the service, even while another service has it", async (t) => {
  const k = await setUp(t);
  const ids = k.many(1, 4);
  k.service(OTHER, [{ ids }]);
  k.service(SERVICE, [{ ids }]);
  const kept = await k.open(40);
  const rest = ids.slice(2);
  k.service(SERVICE, [{ ids: rest }]);
  const { could, did } = await k.staying(kept, rest);
  assert.ok(could > 0 && could < 40, `${could} of 40 kept a backend that stays`);
  assert.equal(did, could);
});

test("when a service row is reused for another service, sockets leave the old backends", async (t) => {
  const k = await setUp(t);
  k.service(OTHER, [{ ids: k.many(1, 4) }]);
  k.service(SERVICE, [{ ids: k.many(1, 4) }]);
  const kept = await k.open(20);
  const others = k.many(50, 3);
  k.service(SERVICE, [{ ids: others }]);
  assert.deepEqual(await k.staying(kept, others), { could: 0, did: 0 });
  k.service(SERVICE, []);
  for (const cookie of kept.keys()) assert.equal(await k.send(cookie), 0);
});

test("with up to 256 slots, in any order, every socket keeps its backend through all changes", async (t) => {
  const k = await setUp(t);
  const random = createRandom(7);
  let members = k.many(1, 200);
  k.service(SERVICE, [{ ids: members }]);
  const kept = await k.open(100);
  for (let round = 0; round < 20; round++) {
    const stay = members.filter(() => random() > 0.2);
    const fresh = k.many(1000 + 100 * round, Math.floor(random() * Math.min(100, 256 - stay.length)));
    members = shuffle([...stay, ...fresh], random);
    // Tiers are added, removed and reordered.
    const cut = Math.floor(random() * members.length);
    const tiers = [members.slice(cut), members.slice(0, cut)].filter((ids) => ids.length > 0);
    k.service(
      SERVICE,
      tiers.map((ids) => ({ ids, tries: 1 })),
    );
    const { could, did } = await k.staying(kept, members);
    assert.equal(did, could, `round ${round}`);
    for (const cookie of kept.keys()) kept.set(cookie, await k.send(cookie));
  }
});

test("in tables of thousands of slots a backend is found near its slot fraction, after half of the slots changed", async (t) => {
  const k = await setUp(t);
  const random = createRandom(11);
  for (const [grow, shrink] of [
    [0, 0.5],
    [2000, 0],
    [1000, 0.5],
  ] as const) {
    const members = k.many(1, 2000);
    k.service(SERVICE, [{ ids: members }]);
    const kept = await k.open(300);
    const stay = members.filter(() => random() >= shrink);
    const now = insertAnywhere(stay, k.many(5000, grow), random);
    k.service(SERVICE, [{ ids: now }]);
    const { could, did } = await k.staying(kept, now);
    assert.ok(could >= 100, `${could} could stay`);
    assert.equal(did, could, `${grow} more, ${shrink} less`);
  }
});

test("a socket leaves a backend that is down, not a suspect one; when all are down, one is still used", async (t) => {
  const k = await setUp(t);
  const ids = k.many(1, 2);
  k.service(SERVICE, [{ ids, tries: 1 }]);
  const first = await k.send(1);
  const index = backendIndex(first);
  for (const [state, stays] of [
    [Rank.Suspect, true],
    [Rank.Draining, true],
    [Rank.Down, false],
  ] as const) {
    k.backend({ index, cluster: 2, node: 3, state });
    assert.equal((await k.send(1)) === first, stays, `rank ${state}`);
  }
  const second = await k.send(1);
  k.clusterState.storeWord32(2, 0, rankBit(Rank.Down, 0));
  assert.ok(ids.includes(await k.send(1)));
  k.clusterState.storeWord32(2, 0, 0);
  assert.equal(await k.send(2), second);
});

test("backends are kept separately per socket and per service", async (t) => {
  const k = await setUp(t);
  k.service(SERVICE, [{ ids: k.many(1, 200) }]);
  const kept = await k.open(100);
  assert.ok(new Set(kept.values()).size > 50);
  for (const [cookie, id] of kept) assert.equal(await k.send(cookie), id);
});
