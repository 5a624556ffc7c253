/** Floors of the layout before: converted row by row, and taken over from its pin. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createMappedArray } from "./array-map.js";
import { convertFloor, makeFloor, validFloor } from "./floor.js";
import { FloorCopyV1, FloorRow, FloorRowV1 } from "./gen/index.js";
import { openDatapath } from "./index.js";
import { MapFlag, MapType } from "./kernel-constants.js";
import { native } from "./native.js";
import { startNode, type TestNode } from "./testing/node.js";

const STORE = Uint8Array.from({ length: 16 }, (_, i) => i + 1);
const EMPTY = { store: new Uint8Array(16), position: [], checksum: 0n };
/** A row that version 0.1 wrote: store 1 to 16, positions 1 to 8, in the second copy. */
const WRITTEN = FloorRowV1.decode(
  Buffer.from(
    "02000000" +
      "00".repeat(12 + 88) +
      "0102030405060708090a0b0c0d0e0f10" +
      Array.from({ length: 8 }, (_, i) => `0${i + 1}00000000000000`).join("") +
      "3d46f423c0054e91",
    "hex",
  ),
);

const numbersOf = (row: Uint8Array) => validFloor(FloorRow.decode(row))?.position;

test("a floor of eight numbers becomes one of sixteen", () => {
  assert.deepEqual(numbersOf(convertFloor(FloorRowV1.encode(WRITTEN))), [
    ...[1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n],
    ...Array<bigint>(8).fill(0n),
  ]);
});

test("the copy that counts is converted: the named one, or the other when that is half written", () => {
  const [, good = EMPTY] = WRITTEN.copy;
  const torn = { ...good, position: [9n, ...good.position.slice(1)] };
  const first = (row: Uint8Array) => numbersOf(row)?.[0];
  assert.equal(first(convertFloor(FloorRowV1.encode({ valid: 1, copy: [torn, good] }))), 1n);
  assert.equal(first(convertFloor(FloorRowV1.encode({ valid: 2, copy: [good, torn] }))), 1n);
});

test("no floor stays none, and a row without a readable copy stays one", () => {
  const [, good = EMPTY] = WRITTEN.copy;
  const cleared = FloorRow.decode(convertFloor(FloorRowV1.encode({ valid: 0, copy: [good, good] })));
  assert.equal(cleared.valid, 0);
  const broken = FloorRow.decode(
    convertFloor(FloorRowV1.encode({ valid: 2, copy: [EMPTY, { ...good, checksum: 1n }] })),
  );
  assert.equal(broken.valid, 2);
  assert.equal(validFloor(broken), undefined);
});

/** Pins a map of floors as the version before made it, with one row. */
function pinOlder({ options }: TestNode, clusterId: number, row: FloorRowV1): string {
  const path = join(options.bpffs, "mesh_floors_v1");
  const spec = { type: MapType.Array, keySize: 4, valueSize: FloorRowV1.size, flags: MapFlag.Mappable };
  const map = native().mapCreate({ ...spec, maxEntries: 4096, name: "mesh_floors_v1" });
  const rows = createMappedArray("mesh_floors_v1", map);
  rows.writeBody(clusterId, FloorRowV1.encode(row));
  rows.close();
  native().pin(map, path);
  map.close();
  return path;
}

test("floors of the version before are taken over, also after a downgrade, and its pin is removed", async (t) => {
  const node = await startNode("floors");
  t.after(() => node.remove());
  const older = pinOlder(node, 7, WRITTEN);
  await node.reopen();
  assert.deepEqual(numbersOf(node.datapath.floors.read(7))?.slice(0, 3), [1n, 2n, 3n]);
  assert.equal(existsSync(older), false);
  node.datapath.floors.writeBody(7, FloorRow.encode({ valid: 1, copy: [makeFloor(STORE, [5n])] }));
  await node.reopen();
  assert.equal(numbersOf(node.datapath.floors.read(7))?.[0], 5n, "taken over once");
  pinOlder(node, 7, WRITTEN);
  await node.reopen();
  assert.equal(numbersOf(node.datapath.floors.read(7))?.[0], 1n, "an agent of the version before wrote since");
});

test("a pin of the version before with another row size is refused, and stays", async (t) => {
  const node = await startNode("floors");
  t.after(() => node.remove());
  const path = join(node.options.bpffs, "mesh_floors_v1");
  const spec = { type: MapType.Array, keySize: 4, valueSize: FloorCopyV1.size, flags: MapFlag.Mappable };
  const map = native().mapCreate({ ...spec, maxEntries: 4096, name: "other" });
  native().pin(map, path);
  map.close();
  node.datapath.close();
  await assert.rejects(openDatapath(node.options), { code: "MAP_LAYOUT" });
  assert.ok(existsSync(path));
});
