/** The addon: sizes, errors, mapped words, batches, locks. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createMappedArray } from "./array-map.js";
import { detailOf, errnoOf } from "./errors.js";
import { createHashMap } from "./hash-map.js";
import { MapFlag, MapType, UpdateFlag } from "./kernel-constants.js";
import { type Fd, type MapShape, native } from "./native.js";
import { loadTestObject, OBJECTS } from "./testing/objects.js";

type Given = Partial<Parameters<ReturnType<typeof native>["mapCreate"]>[0]>;

/** By default a hash of 16 entries, 4 -> 8 bytes. */
function createMap(given: Given = {}): Fd {
  const usual = {
    type: MapType.Hash,
    keySize: 4,
    valueSize: 8,
    maxEntries: 16,
    flags: MapFlag.None,
    name: "mesh_test",
  };
  return native().mapCreate({ ...usual, ...given });
}

function makeMap(t: TestContext, given: Given = {}): Fd {
  const map = createMap(given);
  t.after(() => map.close());
  return map;
}

const u32 = (...values: number[]) => new Uint8Array(Uint32Array.of(...values).buffer);
const u64 = (...values: bigint[]) => new Uint8Array(BigUint64Array.from(values).buffer);

test("lengths are checked against the map", (t) => {
  const map = makeMap(t);
  assert.throws(() => native().mapLookup(map, new Uint8Array(3)), RangeError);
  assert.throws(() => native().mapUpdate(map, u32(1), new Uint8Array(7), 0), RangeError);
  assert.throws(() => native().mapUpdateEach(map, u32(1, 2), u64(1n), 0), RangeError);
  assert.throws(() => native().mapUpdateBatch(map, new Uint8Array(5), u64(1n)), RangeError);
  assert.throws(() => native().mapDeleteEach(map, new Uint8Array(6)), RangeError);
  assert.throws(() => native().mapLookup(map, "key" as unknown as Uint8Array), { code: "ERR_INVALID_ARG_TYPE" });
  assert.throws(() => native().mapLookup({} as Fd, u32(1)), { code: "ERR_INVALID_ARG_TYPE" });
  assert.throws(
    () =>
      native().mapLookup(
        native().mapMapping(makeMap(t, { type: MapType.Array, flags: MapFlag.Mappable })) as unknown as Fd,
        u32(1),
      ),
    { code: "ERR_INVALID_ARG_TYPE" },
  );
});

test("a failed call is an error with the errno's name", (t) => {
  const map = makeMap(t);
  native().mapUpdate(map, u32(1), u64(7n), UpdateFlag.NoExist);
  assert.throws(() => native().mapUpdate(map, u32(1), u64(8n), UpdateFlag.NoExist), {
    code: "EEXIST",
    message: /^Cannot update a map entry/,
  });
  assert.throws(() => native().openPin("/sys/fs/bpf/mesh-test-nothing"), { code: "ENOENT" });
  assert.throws(() => native().mapById(0xffffffff), { code: "ENOENT" });
  assert.throws(() => native().mapMapping(map), { code: "EINVAL" });
});

test("a closed handle is rejected, and closing twice is allowed", () => {
  const map = createMap();
  map.close();
  map.close();
  assert.throws(() => native().mapInfo(map), { code: "EBADF" });
});

test("unreferenced handles are closed by the garbage collector", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const open = () => readdirSync("/proc/self/fd").length;
  const before = open();
  for (let i = 0; i < 200; i++) createMap({ type: MapType.Array, flags: MapFlag.Mappable });
  assert.ok(open() >= before + 100);
  for (let round = 0; open() > before + 10; round++) {
    assert.ok(round < 100, `${open() - before} handles are still open`);
    collect();
    await setImmediate();
  }
});

/** BPF objects, sockets and files that a child process would inherit. */
function inheritable(): string[] {
  return readdirSync("/proc/self/fd").flatMap((fd) => {
    if (Number(fd) <= 2) return [];
    try {
      const flags = /^flags:\s+0(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1] ?? "0";
      const closesOnExec = (Number.parseInt(flags, 8) & 0o2000000) !== 0;
      return closesOnExec ? [] : [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return []; // closed meanwhile
    }
  });
}

test("children inherit no handle and no duplicate of a worker", async (t) => {
  const loaded = loadTestObject(t, "events_test");
  const inner = makeMap(t, { type: MapType.Array, maxEntries: 1 });
  const outer = makeMap(t, { type: MapType.ArrayOfMaps, valueSize: 4, inner });
  const ring = native().openRing(loaded.map("mesh_test_events"), 1 << 20);
  t.after(() => ring.close());
  const folder = mkdtempSync(join(tmpdir(), "mesh-test-"));
  const held = [native().lock(folder), native().openDirectory(folder), native().mapById(native().mapInfo(inner).id)];
  t.after(() => {
    for (const handle of held) handle.close();
    rmdirSync(folder);
  });
  const before = inheritable();
  const work = [
    native().testRun(loaded.program("emit"), new Uint8Array(64), 1000),
    native().mapUpdateSlow(outer, u32(1), u32(inner.fd)),
  ];
  const during = inheritable();
  await Promise.all(work);
  const ours = [...before, ...during].filter((name) => name.includes("bpf") || name === folder);
  assert.deepEqual(ours, []);
});

test("work without a free file descriptor fails with that error", () => {
  const module = new URL("./native.js", import.meta.url).href;
  const code = `import { closeSync, openSync, readdirSync } from "node:fs";
    import { native } from ${JSON.stringify(module)};
    const map = native().mapCreate({ type: ${MapType.Array}, keySize: 4, valueSize: 4, maxEntries: 1, flags: 0, name: "t" });
    const all = [];
    for (;;) try { all.push(openSync("/dev/null")); } catch { break; }
    const codes = [];
    for (let i = 0; i < 3; i++)
      for (const call of [() => native().mapUpdateSlow(map, new Uint8Array(4), new Uint8Array(4)), () => native().testRun(map, new Uint8Array(64), 1)])
        try { call(); codes.push("started"); } catch (error) { codes.push(error.code); }
    for (const fd of all) closeSync(fd);
    console.log(codes.join(" "));`;
  const node = ["--input-type=module", "-e", code];
  const answer = execFileSync("prlimit", ["--nofile=64:64", process.execPath, ...node], { encoding: "utf8" });
  assert.equal(answer.trim(), Array(6).fill("EMFILE").join(" "));
});

test("one entry: insert, read, delete", (t) => {
  const map = makeMap(t);
  assert.equal(native().mapLookup(map, u32(5)), undefined);
  native().mapUpdate(map, u32(5), u64(55n), UpdateFlag.Any);
  assert.deepEqual(native().mapLookup(map, u32(5)), u64(55n));
  assert.equal(native().mapDelete(map, u32(5)), true);
  assert.equal(native().mapDelete(map, u32(5)), false);
});

test("many entries: one result each, batches, and a dump in parts", (t) => {
  const map = makeMap(t, { maxEntries: 3000 });
  const keys = Array.from({ length: 2000 }, (_, i) => i);
  const values = u64(...keys.map((key) => BigInt(key) * 3n));
  assert.equal(native().mapUpdateBatch(map, u32(...keys), values), 2000);
  const again = native().mapUpdateEach(map, u32(1, 5000, 2), u64(0n, 1n, 2n), UpdateFlag.NoExist);
  assert.deepEqual([...again], [17, 0, 17]);
  const dumped = new Map<number, bigint>();
  for (let cursor: Uint8Array | undefined, end = false; !end; ) {
    const dump = native().mapDump(map, cursor, 512);
    const dumpedKeys = new Uint32Array(dump.keys.buffer);
    const dumpedValues = new BigUint64Array(dump.values.buffer);
    for (let i = 0; i < dump.count; i++) dumped.set(dumpedKeys[i] ?? -1, dumpedValues[i] ?? -1n);
    cursor = dump.cursor;
    end = dump.end;
  }
  assert.equal(dumped.size, 2001);
  assert.equal(dumped.get(1999), 5997n);
  assert.deepEqual([...native().mapDeleteEach(map, u32(0, 9999, 1))], [0, 2, 0]);
});

test("an insert into a full map fails with the map's name and size, and inserts the entries that fit", async (t) => {
  const hash = createHashMap("mesh_test_full", makeMap(t, { maxEntries: 4 }));
  const key = (i: number) => Buffer.from(u32(i)).toString("latin1");
  const applied = await hash.insert(new Map([1, 2, 3, 4, 5, 6].map((i) => [key(i), u64(BigInt(i))])));
  assert.equal(applied.done.size, 4);
  const [error] = applied.failed.values();
  assert.equal(error?.message, 'Cannot add an entry to map "mesh_test_full": all 4 entries are in use');
  assert.equal((error as { code?: string }).code, "MAP_FULL");
  await hash.delete(new Set([key(1), key(77)]));
  assert.equal((await hash.insert(new Map([[key(9), u64(9n)]]))).done.size, 1);
  assert.deepEqual((await hash.load()).get(key(9)), u64(9n));
});

test("a mapped array: system calls read the bodies and words that were stored", (t) => {
  const map = makeMap(t, { type: MapType.Array, valueSize: 12, maxEntries: 10, flags: MapFlag.Mappable });
  const array = createMappedArray("mesh_test", map);
  t.after(() => array.close());
  array.writeBody(3, Uint8Array.of(1, 2, 3, 4), 4);
  array.storeWord32(3, 0, 0xfffffffe);
  assert.deepEqual(native().mapLookup(map, u32(3)), Uint8Array.of(0xfe, 255, 255, 255, 1, 2, 3, 4, 0, 0, 0, 0));
  native().mapUpdate(map, u32(4), new Uint8Array(12).fill(9), UpdateFlag.Any);
  assert.deepEqual(array.read(3, 2).slice(12), new Uint8Array(12).fill(9));
  assert.throws(() => array.storeWord32(10, 0, 1), RangeError);
  assert.throws(() => array.storeWord64(3, 8, 1n), RangeError);
  assert.throws(() => array.storeWord32(3, 2, 1), RangeError);
  assert.throws(() => array.writeBody(3, new Uint8Array(13)), RangeError);
  array.close();
  assert.throws(() => array.read(0), { code: "EBADF" });
});

test("64-bit words are stored in full, and longer numbers are rejected", (t) => {
  const map = makeMap(t, { type: MapType.Array, maxEntries: 2, flags: MapFlag.Mappable });
  const array = createMappedArray("mesh_test", map);
  t.after(() => array.close());
  array.storeWord64(1, 0, 0xfedcba9876543210n);
  assert.deepEqual(native().mapLookup(map, u32(1)), u64(0xfedcba9876543210n));
  assert.throws(() => array.storeWord64(1, 0, 1n << 64n), RangeError);
});

test("an error of the verifier includes the end of its log, where the reason is", () => {
  try {
    native().loadObject(`${OBJECTS}/refused_test.bpf.o`, {});
    assert.fail("the program was loaded");
  } catch (error) {
    assert.match(errnoOf(error), /^E(ACCES|INVAL)$/);
    const log = detailOf(error);
    assert.equal(log.length, (256 << 10) - 1);
    assert.match(log.slice(-2000), /invalid mem access 'map_value_or_null'/);
  }
});

test("the maps of an object are created as it declares them, the inner ones as well", (t) => {
  const path = `${OBJECTS}/sock.bpf.o`;
  const declared = native().objectMaps(path);
  const { maps, programs } = native().loadObject(path, {});
  t.after(() => {
    for (const map of Object.values(maps)) map.close();
    for (const { fd } of Object.values(programs)) fd.close();
  });
  assert.deepEqual(Object.keys(declared).sort(), Object.keys(maps).sort());
  for (const [name, map] of Object.entries(maps)) {
    const { type, keySize, valueSize, maxEntries, flags } = native().mapInfo(map);
    assert.deepEqual(
      { ...declared[name], inner: undefined },
      { type, keySize, valueSize, maxEntries, flags, inner: undefined },
    );
  }
  const outers = Object.entries(declared).filter(([, { inner }]) => inner !== undefined);
  assert.deepEqual(outers.map(([name]) => name).sort(), ["mesh_service_ranges_v2", "mesh_tables_v1"]);
  for (const [name, { inner }] of outers) {
    const outer = maps[name];
    const shape: MapShape | undefined = inner;
    assert.ok(outer !== undefined && shape !== undefined);
    const list = native().mapCreate({ ...shape, name: "inner" });
    t.after(() => list.close());
    // The kernel refuses one that differs.
    native().mapUpdate(outer, u32(0), u32(list.fd), UpdateFlag.Any);
    const other = native().mapCreate({ ...shape, valueSize: shape.valueSize + 8, name: "other" });
    t.after(() => other.close());
    assert.throws(() => native().mapUpdate(outer, u32(0), u32(other.fd), UpdateFlag.Any), { code: "EINVAL" });
  }
  assert.throws(() => native().objectMaps(`${OBJECTS}/no.bpf.o`), { code: "ENOENT" });
});

test("a missing object and an unknown or too short variable are rejected", () => {
  assert.throws(() => native().loadObject(`${OBJECTS}/no.bpf.o`, {}), { code: "ENOENT" });
  const load = (rodata: Record<string, Uint8Array>) => native().loadObject(`${OBJECTS}/select_test.bpf.o`, { rodata });
  assert.throws(() => load({ nothing: new Uint8Array(4) }), { code: "ENOENT", detail: "nothing" });
  assert.throws(() => load({ config: new Uint8Array(4) }), { code: "EMSGSIZE", detail: "config" });
});

test("a lock is exclusive until it is closed", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "mesh-test-"));
  t.after(() => rmdirSync(folder));
  const first = native().lock(folder);
  assert.throws(() => native().lock(folder), { code: "EAGAIN" });
  first.close();
  native().lock(folder).close();
});

test("sizes and errors of a slow update are checked like those of other updates", async (t) => {
  const inner = makeMap(t, { type: MapType.Array, maxEntries: 1 });
  const outer = native().mapCreate({
    type: MapType.ArrayOfMaps,
    keySize: 4,
    valueSize: 4,
    maxEntries: 2,
    flags: 0,
    name: "mesh_test",
    inner,
  });
  t.after(() => outer.close());
  await native().mapUpdateSlow(outer, u32(1), u32(inner.fd));
  const id = native().mapLookup(outer, u32(1));
  assert.deepEqual(id, u32(native().mapInfo(inner).id));
  assert.throws(() => native().mapUpdateSlow(outer, u32(1), new Uint8Array(3)), RangeError);
  await assert.rejects(native().mapUpdateSlow(outer, u32(7), u32(inner.fd)), { code: "E2BIG" });
});
