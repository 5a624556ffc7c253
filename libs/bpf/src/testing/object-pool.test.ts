/** Objects that tests share: none sees what another left. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { type TestContext, test } from "node:test";
import { MAP_NAMES } from "../gen/index.js";
import { MapFlag, MapType } from "../kernel-constants.js";
import { type Fd, type MapInfo, type Mapping, type MapSpec, native } from "../native.js";
import { type ObjectUser, takeObject } from "./object-pool.js";
import { OBJECTS } from "./objects.js";
import { makePacket } from "./packets.js";
import { loadPodPrograms, type PodProgramsOptions } from "./pod-programs.js";

const POOLED: readonly NonNullable<PodProgramsOptions["object"]>[] = ["pod", "dialling_test", "no_rescue_test"];
/** More than are deleted at a time. */
const ENTRIES = 1100;

/** A test that ends when `end` is called. */
function makeUser(t: TestContext, passed: boolean | undefined = true) {
  const hooks: (() => void)[] = [];
  const end = () => {
    for (const call of hooks.splice(0)) call();
  };
  t.after(end);
  const user = { after: (call: () => void) => void hooks.push(call), passed };
  return { user: user as unknown as ObjectUser, end };
}

const idOf = ({ map }: { map(name: string): Fd }) => native().mapInfo(map(MAP_NAMES.conntrack)).id;

const specsOf = (object: string) => native().objectMaps(`${OBJECTS}/${object}.bpf.o`);

const keyOf = (index: number) => new Uint8Array(Uint32Array.of(index).buffer);

const INDEXED: readonly number[] = [MapType.Array, MapType.PerCpuArray, MapType.ArrayOfMaps];
const hasIndexes = (type: number) => INDEXED.includes(type);

function withMapping<T>(map: Fd, call: (mapping: Mapping) => T): T {
  const mapping = native().mapMapping(map);
  const result = call(mapping);
  mapping.close();
  return result;
}

/** All entries of a map. */
function dump(map: Fd): Buffer {
  const { type, maxEntries, keySize, valueSize, flags } = native().mapInfo(map);
  if (type === MapType.SkStorage) return Buffer.alloc(0);
  if ((flags & MapFlag.Mappable) !== 0)
    return withMapping(map, (mapping) => Buffer.from(mapping.read(0, mapping.stride * maxEntries)));
  if (type !== MapType.Array && hasIndexes(type))
    return Buffer.concat(
      Array.from({ length: maxEntries }, (_, i) => native().mapLookup(map, keyOf(i)) ?? new Uint8Array()),
    );
  const { keys, values, count } = native().mapDump(map, undefined, type === MapType.Array ? maxEntries : 2 * ENTRIES);
  return Buffer.concat([keys.subarray(0, count * keySize), values.subarray(0, count * valueSize)]);
}

/** Fills a map with what is not 0. */
function fill(map: Fd, { inner }: MapSpec): void {
  const { type, maxEntries, keySize, valueSize, flags } = native().mapInfo(map);
  const ones = (bytes: number) => new Uint8Array(bytes).fill(0xff);
  if (inner !== undefined) fillMaps(map, maxEntries, inner);
  else if ((flags & MapFlag.Mappable) !== 0)
    withMapping(map, (mapping) => mapping.write(0, ones(mapping.stride * maxEntries)));
  else {
    const count = type === MapType.Array ? maxEntries : Math.min(maxEntries, ENTRIES);
    const keys = Array.from({ length: count }, (_, i) => (hasIndexes(type) ? keyOf(i) : hashKey({ keySize, type })));
    const bytes = native().mapLookup(map, new Uint8Array(keySize))?.length ?? valueSize;
    native().mapUpdateEach(map, Buffer.concat(keys), ones(count * bytes), 0);
  }
}

/** The first and the last: each takes a grace period. */
function fillMaps(map: Fd, count: number, { type, keySize, valueSize, maxEntries, flags }: MapSpec): void {
  const inner = native().mapCreate({ name: "inner", type, keySize, valueSize, maxEntries, flags });
  for (const i of new Set([0, count - 1])) native().mapUpdate(map, keyOf(i), keyOf(inner.fd), 0);
  inner.close();
}

/** A trie's begins with its length. */
function hashKey({ type, keySize }: Pick<MapInfo, "type" | "keySize">): Uint8Array {
  const key = randomBytes(keySize);
  if (type === MapType.LpmTrie) key.writeUInt32LE(8 * (keySize - 4));
  return key;
}

for (const object of POOLED)
  test(`${object}: the maps of an object that was used are as those of a new one`, (t) => {
    const specs = specsOf(object);
    const names = Object.keys(specs).filter((name) => specs[name]?.type !== MapType.RingBuffer);
    const fresh = loadPodPrograms(makeUser(t).user, { object });
    const first = makeUser(t);
    const used = loadPodPrograms(first.user, { object });
    for (const name of names) {
      const spec = specs[name];
      // Rows of sockets end with the sockets; a reader of events keeps the object.
      if (spec === undefined || spec.type === MapType.SkStorage || name === MAP_NAMES.eventSettings) continue;
      fill(used.map(name), spec);
      assert.equal(dump(used.map(name)).equals(dump(fresh.map(name))), false, name);
    }
    const id = idOf(used);
    first.end();
    const again = loadPodPrograms(makeUser(t).user, { object });
    assert.equal(idOf(again), id);
    for (const name of names) assert.ok(dump(again.map(name)).equals(dump(fresh.map(name))), name);
  });

test("a program runs for the next test without being loaded again, and no more for the one before", async (t) => {
  const packet = makePacket({ source: "10.1.0.1", target: "10.1.0.2" });
  const first = makeUser(t);
  const used = loadPodPrograms(first.user);
  const map = used.map(MAP_NAMES.conntrack);
  const { action } = await used.program("to_network", packet);
  first.end();
  await assert.rejects(used.program("to_network", packet), /the test that had it is over/);
  assert.throws(() => native().mapInfo(map), { code: "EBADF" });
  assert.equal((await loadPodPrograms(makeUser(t).user).program("to_network", packet)).action, action);
});

/** Whether a later test gets the object of one that did this. */
function isReused(t: TestContext, use: (programs: ReturnType<typeof loadPodPrograms>) => void, passed?: boolean) {
  const first = makeUser(t, passed);
  // A size of its own, so that no object of another test is free.
  const options = { flows: 128 };
  const programs = loadPodPrograms(first.user, options);
  const id = idOf(programs);
  use(programs);
  first.end();
  const next = makeUser(t, false);
  const reused = idOf(loadPodPrograms(next.user, options)) === id;
  next.end();
  return reused;
}

test("an object is used again by its loading, except after what it does not forget", async (t) => {
  assert.equal(
    isReused(t, () => undefined),
    true,
  );
  assert.equal(
    isReused(t, ({ fd }) => void fd("to_network")),
    false,
  );
  assert.equal(
    isReused(t, ({ loaded }) => void loaded.loaded("to_network")),
    false,
  );
  assert.equal(
    isReused(t, ({ events }) => events().want([1])),
    false,
  );
  assert.equal(
    isReused(t, ({ map }) => void map(MAP_NAMES.events)),
    false,
  );
});

test("an object is not used again after a test that failed, nor by a test that asks for another", (t) => {
  assert.equal(
    isReused(t, () => undefined, false),
    false,
  );
  const first = makeUser(t);
  const id = idOf(takeObject(first.user, "pod", { [MAP_NAMES.conntrack]: 2 }, { flowSets: 2n }));
  first.end();
  assert.notEqual(idOf(takeObject(makeUser(t).user, "pod", { [MAP_NAMES.conntrack]: 2 }, { flowSets: 1n })), id);
  assert.equal(idOf(takeObject(makeUser(t).user, "pod", { [MAP_NAMES.conntrack]: 2 }, { flowSets: 2n })), id);
});

test("node:test says in time whether a test passed", async (t) => {
  let id = 0;
  await t.test("first", (each) => {
    id = idOf(loadPodPrograms(each, { flows: 256 }));
  });
  await t.test("second", (each) => assert.equal(idOf(loadPodPrograms(each, { flows: 256 })), id));
});
