import assert from "node:assert/strict";
import { test } from "node:test";
import { createMemoryKernel, SMALL_KERNEL } from "./memory-kernel.js";
import { Killed } from "./write-log.js";

const KEY = "k".repeat(20);
const entry = (key: string, byte = 1) => new Map([[key, new Uint8Array(8).fill(byte)]]);

test("inserting an existing key or a wrong size fails; deleting an absent key succeeds", async () => {
  const { frontends } = createMemoryKernel().open();
  assert.deepEqual([...(await frontends.insert(entry(KEY))).done], [KEY]);
  assert.equal((await frontends.insert(entry(KEY, 2))).failed.size, 1);
  assert.deepEqual((await frontends.load()).get(KEY), new Uint8Array(8).fill(1));
  assert.equal((await frontends.insert(entry("short"))).failed.size, 1);
  assert.deepEqual([...(await frontends.delete(new Set([KEY, "gone".padEnd(20)]))).done].length, 2);
});

test("a full hash and an extra segment fail with MAP_FULL", async () => {
  const { frontends, tables } = createMemoryKernel({ ...SMALL_KERNEL, frontends: 1, maxSegments: 1 }).open();
  await frontends.insert(entry(KEY));
  const { failed } = await frontends.insert(entry("x".repeat(20)));
  assert.match([...failed.values()].map((error) => (error as { code?: string }).code).join(), /MAP_FULL/);
  await tables.addSegment();
  await assert.rejects(tables.addSegment(), { code: "MAP_FULL" });
});

test("words must be aligned and inside the map, and are little endian; read returns a copy", () => {
  const { services } = createMemoryKernel().open();
  services.storeWord64(1, 8, 0x0102030405060708n);
  const copy = services.read(1);
  assert.deepEqual([...copy.subarray(8, 16)], [8, 7, 6, 5, 4, 3, 2, 1]);
  copy.fill(0);
  assert.equal(services.read(1)[8], 8);
  assert.throws(() => services.storeWord64(1, 4, 1n), { code: "MAP_IO" });
  assert.throws(() => services.storeWord32(SMALL_KERNEL.services, 0, 1), { code: "MAP_IO" });
});

test("a process dies before the given write and can write no more; the next one continues with its memory", () => {
  const kernel = createMemoryKernel();
  const first = kernel.open();
  first.nodeState.storeWord32(1, 0, 1);
  kernel.log.killBefore(1);
  first.nodeState.storeWord32(1, 0, 2);
  assert.throws(() => first.nodeState.storeWord32(1, 0, 3), Killed);
  const second = kernel.open();
  assert.throws(() => first.nodeState.storeWord32(1, 0, 4), Killed);
  second.nodeState.storeWord32(2, 0, 5);
  assert.deepEqual([second.nodeState.read(1)[0], second.nodeState.read(2)[0], kernel.log.count], [2, 5, 3]);
});

test("a write can be made to fail, and every write is reported", async () => {
  const kernel = createMemoryKernel();
  const { frontends, backends } = kernel.open();
  const writes: string[] = [];
  kernel.log.onWrite(({ map, what }) => writes.push(`${what} ${map}`));
  kernel.log.failWhen(({ what }) => (what === "insert" ? new Error("no memory") : undefined));
  assert.equal((await frontends.insert(entry(KEY))).failed.get(KEY)?.message, "no memory");
  backends.writeBody(1, new Uint8Array(28), 4);
  assert.deepEqual(writes, ["body mesh_backends_v1"]);
});

test("a held grace period ends when it is released", async () => {
  const kernel = createMemoryKernel();
  const port = kernel.open();
  kernel.holdGrace();
  let ended = false;
  const waiting = port.gracePeriod().then(() => {
    ended = true;
  });
  await Promise.resolve();
  assert.equal(ended, false);
  kernel.releaseGrace();
  await waiting;
  assert.equal(kernel.graces, 1);
});

test("a process can die between the writes of one call; a wrong offset rejects all of them", () => {
  const kernel = createMemoryKernel();
  const { services } = kernel.open();
  const [indexes, offsets, values] = [Uint32Array.of(1, 2, 3), Uint32Array.of(0, 8, 16), BigUint64Array.of(7n, 8n, 9n)];
  assert.throws(() => services.storeWords64(Uint32Array.of(1, 999, 3), offsets, values), { code: "MAP_IO" });
  assert.throws(() => services.storeWords64(indexes, offsets, BigUint64Array.of(7n)), { code: "MAP_IO" });
  assert.throws(() => services.writeBodies(indexes, new Uint8Array(4)), { code: "MAP_IO" });
  assert.equal(kernel.log.count, 0);
  kernel.log.killBefore(2);
  assert.throws(() => services.storeWords64(indexes, offsets, values), Killed);
  const after = kernel.open().services;
  assert.deepEqual([after.read(1)[0], after.read(2)[8], after.read(3)[16]], [7, 8, 0]);
  after.writeBodies(Uint32Array.of(4, 5), Uint8Array.of(1, 2, 3, 4), 6);
  assert.deepEqual([...after.read(4, 2)].filter(Boolean), [1, 2, 3, 4]);
  after.storeWords32(Uint32Array.of(6, 6), Uint32Array.of(4, 4), Uint32Array.of(1, 2));
  assert.deepEqual([after.read(6)[4], kernel.log.count], [2, 6]);
});
