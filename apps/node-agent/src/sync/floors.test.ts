import assert from "node:assert/strict";
import { test } from "node:test";
import { FloorCopy, FloorRow } from "@isthmus/bpf";
import type { Position } from "@isthmus/proto";
import { localPosition, VERSION_TYPES } from "@isthmus/records";
import { createMemoryKernel, Killed } from "@isthmus/testing";
import { openFloors } from "./floors.js";

const STORE = Buffer.alloc(16, 7);
const at = (revision: bigint): Position => ({ storeId: STORE, revision, versions: [], added: [] });

test("floors survive the process; that of the local cluster with all its versions", () => {
  const kernel = createMemoryKernel();
  const floors = openFloors(kernel.open().floors);
  const own = localPosition(
    STORE,
    VERSION_TYPES.map((_, i) => BigInt(i + 1)),
  );
  floors.write(0, own);
  floors.write(3, at(2n ** 60n));
  const found = openFloors(kernel.open().floors);
  assert.deepEqual(found.byCluster.get(0), own);
  assert.deepEqual(found.byCluster.get(3), at(2n ** 60n));
  found.write(3, undefined);
  assert.deepEqual([...openFloors(kernel.open().floors).byCluster.keys()], [0]);
});

test("after a kill between any two writes, one of the two floors is readable", () => {
  for (let cut = 0; cut < 5; cut++) {
    const kernel = createMemoryKernel();
    openFloors(kernel.open().floors).write(2, at(10n));
    const dying = openFloors(kernel.open().floors);
    kernel.log.killBefore(cut);
    try {
      dying.write(2, at(11n));
      dying.write(2, at(12n));
    } catch (thrown) {
      assert.ok(thrown instanceof Killed);
    }
    const floors = openFloors(kernel.open().floors);
    assert.deepEqual(floors.broken, []);
    assert.equal(floors.byCluster.get(2)?.revision, [10n, 10n, 11n, 11n, 12n][cut]);
  }
});

test("a half-written copy is ignored; a row with two of them has no floor and is listed as broken", () => {
  const kernel = createMemoryKernel();
  const port = kernel.open().floors;
  const floors = openFloors(port);
  floors.write(2, at(10n));
  floors.write(2, at(11n));
  const second = FloorRow.offsets.copy + FloorCopy.size;
  port.writeBody(2, Uint8Array.of(0xff), second + 20);
  assert.equal(openFloors(port).byCluster.get(2)?.revision, 10n);
  port.writeBody(2, Uint8Array.of(0xff), FloorRow.offsets.copy + 20);
  const found = openFloors(port);
  assert.deepEqual([found.broken, found.byCluster.size], [[2], 0]);
});
