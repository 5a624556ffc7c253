/** Backend selection (bpf/lib/service.h), in test runs of bpf/tests/select_test.bpf.c. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { createGracePeriod } from "./grace.js";
import { backendId, backendIndex, nextGeneration, Rank, rankBit, TierWord } from "./index.js";
import { native } from "./native.js";
import { loadTestObject, openSelection } from "./testing/objects.js";
import { createWriter, type TestBackend } from "./testing/writer.js";

const RUNS = 20_000;

async function setUp(t: TestContext) {
  const loaded = loadTestObject(t, "select_test");
  const maps = await openSelection(loaded);
  const program = loaded.program("select_backend");

  /** struct select_request */
  function request(service: number, hash: number): Buffer {
    const packet = Buffer.alloc(24);
    packet.writeUInt32LE(service, 16);
    packet.writeUInt32LE(hash, 20);
    return packet;
  }

  /** How often each backend index was chosen in `runs` runs with random hashes. */
  async function share(service: number, runs = RUNS): Promise<Map<number, number>> {
    for (let i = 0; i < 256; i++) maps.counts.storeWord64(i, 0, 0n);
    await native().testRun(program, request(service, 0), runs);
    const counts = new BigUint64Array(maps.counts.read(0, 256).buffer);
    return new Map([...counts].flatMap((count, i) => (count > 0n ? [[i, Number(count)] as const] : [])));
  }

  /** The backend id that is chosen for a hash. */
  async function choose(service: number, hash: number): Promise<number> {
    return (await native().testRun(program, request(service, hash), 1)).retval;
  }

  /** Creates equal backends `from`..`from + count - 1`; returns their ids. */
  function many(from: number, count: number, given: Partial<TestBackend> = {}): number[] {
    return Array.from({ length: count }, (_, i) => writer.backend({ ...given, index: from + i }));
  }

  const writer = createWriter(maps);
  return { ...maps, share, choose, many, ...writer };
}

const total = (counts: ReadonlyMap<number, number>, keep: (index: number) => boolean) =>
  [...counts].reduce((sum, [index, count]) => sum + (keep(index) ? count : 0), 0);

test("equal backends get equal shares", async (t) => {
  const k = await setUp(t);
  k.service(1, [{ ids: k.many(1, 10) }]);
  const counts = await k.share(1);
  for (let i = 1; i <= 10; i++) assert.ok(Math.abs((counts.get(i) ?? 0) - RUNS / 10) < RUNS / 50, `backend ${i}`);
});

test("for a service without backends none is chosen", async (t) => {
  const k = await setUp(t);
  k.service(1, []);
  assert.deepEqual(await k.share(1, 10), new Map([[0, 10]]));
});

test("the only live backend of eight is always found with seven tries", async (t) => {
  const k = await setUp(t);
  const dead = k.many(1, 7, { state: Rank.Down });
  k.service(1, [{ ids: [...dead, ...k.many(8, 1)], tries: 7 }]);
  assert.deepEqual(await k.share(1), new Map([[8, RUNS]]));
});

test("with 90 % of the backends down, eight probes find a live one with the expected probability", async (t) => {
  const k = await setUp(t);
  const ids = [...Array(100).keys()].map((i) => k.backend({ index: i + 1, state: i % 10 === 0 ? Rank.Up : Rank.Down }));
  // The agent orders slots by a hash; here a fixed shuffle replaces it.
  const scattered = ids.map((_, i) => ids[(i * 37) % 100] ?? 0);
  k.service(1, [{ ids: scattered, tries: 7 }]);
  const counts = await k.share(1);
  const live = total(counts, (index) => index % 10 === 1);
  assert.equal(
    total(counts, () => true),
    RUNS,
  );
  // 1 - 0.9^8 = 57 %; probing distinct slots can only be better.
  assert.ok(live / RUNS > 0.55, `${live} of ${RUNS} reached a live backend`);
});

test("with 90 % down and a second tier, all runs reach a live backend", async (t) => {
  const k = await setUp(t);
  const first = [...k.many(1, 9, { state: Rank.Down }), ...k.many(10, 1)];
  k.service(1, [
    { ids: first, tries: 4 },
    { ids: k.many(20, 3, { cluster: 2 }), tries: 2, cluster: 2 },
  ]);
  const counts = await k.share(1);
  assert.equal(
    total(counts, (index) => index === 10 || index >= 20),
    RUNS,
  );
});

test("with tries = 0, 30 % dead slots send 30 % of the runs to the next tier", async (t) => {
  const k = await setUp(t);
  const first = [...k.many(1, 3, { state: Rank.Down }), ...k.many(4, 7)];
  k.service(1, [{ ids: first }, { ids: k.many(20, 2, { cluster: 2 }), cluster: 2 }]);
  const spilled = total(await k.share(1), (index) => index >= 20);
  assert.ok(Math.abs(spilled / RUNS - 0.3) < 0.02, `${spilled} of ${RUNS} spilled`);
});

test("when all backends are suspect, all are used", async (t) => {
  const k = await setUp(t);
  k.service(1, [{ ids: k.many(1, 5, { state: Rank.Suspect }), tries: 7 }]);
  const counts = await k.share(1);
  assert.equal(
    total(counts, (index) => index >= 1 && index <= 5),
    RUNS,
  );
  assert.equal(counts.size, 5);
});

test("when no backend is up, the best rank is used: draining before suspect before down", async (t) => {
  const k = await setUp(t);
  const ids = [Rank.Down, Rank.Suspect, Rank.Draining, Rank.Down].map((state, i) => k.backend({ index: i + 1, state }));
  k.service(1, [{ ids, tries: 3 }]);
  assert.deepEqual(await k.share(1, 1000), new Map([[3, 1000]]));
});

test("when a local tier with the most tries has no live backend, the next tier is used", async (t) => {
  const k = await setUp(t);
  const local = k.many(1, 6, { state: Rank.Down });
  k.service(1, [
    { ids: local, tries: 6, cluster: 1 },
    { ids: k.many(20, 1, { cluster: 2 }), cluster: 2 },
  ]);
  assert.deepEqual(await k.share(1), new Map([[20, RUNS]]));
});

test("one cluster state word disables a tier of only that cluster, and enables it again", async (t) => {
  const k = await setUp(t);
  k.service(1, [
    { ids: k.many(1, 4, { cluster: 2 }), cluster: 2 },
    { ids: k.many(20, 2, { cluster: 3 }), cluster: 3 },
  ]);
  k.clusterState.storeWord32(2, 0, rankBit(Rank.Down, 5));
  assert.equal(
    total(await k.share(1), (index) => index >= 20),
    RUNS,
  );
  k.clusterState.storeWord32(2, 0, 0);
  assert.equal(
    total(await k.share(1), (index) => index < 20),
    RUNS,
  );
});

test("a mixed tier probes past the backends of a cluster that is down", async (t) => {
  const k = await setUp(t);
  k.service(1, [{ ids: [...k.many(1, 2, { cluster: 2 }), ...k.many(3, 2, { cluster: 3 })], tries: 3 }]);
  k.clusterState.storeWord32(2, 0, rankBit(Rank.Down, 0));
  assert.equal(
    total(await k.share(1), (index) => index >= 3),
    RUNS,
  );
});

test("a down state of the local cluster has no effect", async (t) => {
  const k = await setUp(t);
  k.service(1, [
    { ids: k.many(1, 2), cluster: 1 },
    { ids: k.many(20, 2, { cluster: 2 }), cluster: 2 },
  ]);
  k.clusterState.storeWord32(1, 0, rankBit(Rank.Down, 0));
  assert.equal(
    total(await k.share(1), (index) => index < 20),
    RUNS,
  );
});

test("when every tier's cluster is down, the first tier is used", async (t) => {
  const k = await setUp(t);
  k.service(1, [
    { ids: k.many(1, 3, { cluster: 2 }), cluster: 2 },
    { ids: k.many(20, 3, { cluster: 3 }), cluster: 3 },
  ]);
  for (const cluster of [2, 3]) k.clusterState.storeWord32(cluster, 0, rankBit(Rank.Down, 0));
  assert.equal(
    total(await k.share(1), (index) => index < 20 && index > 0),
    RUNS,
  );
});

test("suspects of a later tier are used when an earlier tier is skipped", async (t) => {
  const k = await setUp(t);
  k.service(1, [
    { ids: k.many(1, 3, { cluster: 2 }), cluster: 2 },
    { ids: k.many(20, 3, { cluster: 3, state: Rank.Suspect }), tries: 2, cluster: 3 },
  ]);
  k.clusterState.storeWord32(2, 0, rankBit(Rank.Down, 0));
  assert.equal(
    total(await k.share(1), (index) => index >= 20),
    RUNS,
  );
});

test("four tiers are used in order", async (t) => {
  const k = await setUp(t);
  const tiers = [10, 20, 30, 40].map((from, i) => ({ ids: k.many(from, 1, { cluster: i + 2 }), cluster: i + 2 }));
  k.service(1, tiers);
  for (const [i, from] of [10, 20, 30, 40].entries()) {
    assert.deepEqual(await k.share(1, 100), new Map([[from, 100]]));
    k.clusterState.storeWord32(i + 2, 0, rankBit(Rank.Down, 0));
  }
});

test("an id of another generation does not match the backend, also where generations wrap", async (t) => {
  const k = await setUp(t);
  const old = k.backend({ index: 7, generation: 255 });
  k.service(1, [{ ids: [old, ...k.many(1, 1)], tries: 1 }]);
  assert.equal((await k.share(1)).size, 2);
  // The index is used again while a table still names the old id: 255 is followed by 1, which is not 255.
  const reused = k.backend({ index: 7, generation: nextGeneration(255) });
  assert.notEqual(reused, old);
  assert.deepEqual(await k.share(1), new Map([[1, RUNS]]));
});

test("a freed backend is not chosen, and a service of freed backends has none", async (t) => {
  const k = await setUp(t);
  const [first = 0] = k.many(1, 1);
  k.service(1, [{ ids: [first], tries: 1 }]);
  k.backends.storeWord32(1, 0, 0);
  assert.deepEqual(await k.share(1, 100), new Map([[0, 100]]));
});

test("backends of a node that is down are not chosen, and a node that reuses its index does not inherit that state", async (t) => {
  const k = await setUp(t);
  const [onDownNode = 0] = k.many(1, 1, { node: 5 });
  const [other = 0] = k.many(2, 1, { node: 6 });
  k.service(1, [{ ids: [onDownNode, other], tries: 1 }]);
  k.nodeState.storeWord32(5, 0, rankBit(Rank.Down, 0));
  assert.deepEqual(await k.share(1), new Map([[2, RUNS]]));
  // The node is removed: first from the tables, then its backends, then (after a grace period) its word and index.
  k.service(1, [{ ids: [other] }]);
  k.backends.storeWord32(1, 0, 0);
  await createGracePeriod()();
  k.nodeState.storeWord32(5, 0, 0);
  const fresh = k.backend({ index: 1, generation: 2, node: 5 });
  k.service(1, [{ ids: [fresh, other], tries: 1 }]);
  assert.equal((await k.share(1)).size, 2);
});

test("only the hash decides, and eight probes of a large table use eight different slots", async (t) => {
  const k = await setUp(t);
  const ids = k.many(1, 200, { state: Rank.Suspect });
  k.service(1, [{ ids, tries: 7 }]);
  for (const hash of [1, 0x12345678, 0x80000000, 0xffffffff]) {
    assert.equal(await k.choose(1, hash), await k.choose(1, hash));
  }
  // All are suspect, so the first probed one is chosen. Removing it makes the next one the choice, eight times.
  for (const hash of [0xdeadbeef, 0xffffffff, 7]) {
    const chosen = new Set<number>();
    for (let i = 0; i < 8; i++) {
      const id = await k.choose(1, hash);
      assert.ok(!chosen.has(id) && id !== 0, `probe ${i} of hash ${hash}`);
      chosen.add(id);
      k.backends.storeWord32(backendIndex(id), 0, 0);
    }
    assert.equal(await k.choose(1, hash), 0);
    for (const id of chosen) k.backend({ index: backendIndex(id), state: Rank.Suspect });
  }
});

test("tables beyond the first segment are found", async (t) => {
  const k = await setUp(t);
  const segment = await k.tables.addSegment();
  segment.writeBody(65_535, new Uint8Array(Uint32Array.of(k.backend({ index: 9 })).buffer));
  const line = 2 * 65_536 - 1;
  k.services.storeWord64(1, 0, TierWord.toWord({ line, slots: 1, tries: 0, maglev: 0, cluster: 0 }));
  assert.equal(await k.choose(1, 1), backendId(1, 9));
});
