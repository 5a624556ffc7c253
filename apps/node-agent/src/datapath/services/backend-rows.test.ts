import assert from "node:assert/strict";
import { test } from "node:test";
import { BackendRow } from "@isthmus/bpf";
import { addressWords } from "@isthmus/clustermesh";
import { fastCheckOptions } from "@isthmus/testing";
import fc from "fast-check";
import { clusterWord, createBackendRows, portWord, Word } from "./backend-rows.js";

const ROWS = 32;

interface Name {
  readonly cluster: number;
  readonly address: Uint8Array;
  readonly port: number;
  readonly protocol: number;
}

/** Few values of each part, so that many names differ in one part only. */
const name: fc.Arbitrary<Name> = fc.record({
  cluster: fc.constantFrom(1, 2, 511),
  address: fc.tuple(fc.nat(15), fc.constantFrom(0, 1, 0x80, 0xff)).map(([at, byte]) => {
    const bytes = new Uint8Array(16);
    bytes[at] = byte;
    return bytes;
  }),
  port: fc.constantFrom(80, 0x5000, 65535),
  protocol: fc.constantFrom(6, 17),
});

function newRow(id: number, { cluster, address, port, protocol }: Name) {
  const words = { portWord: portWord(port, protocol), clusterWord: clusterWord(cluster, 1) };
  return { id, ...words, node: 9, address: addressWords(address) };
}

test("rows are found by every part of their name, after any additions and removals", () => {
  const keyOf = ({ cluster, address, port, protocol }: Name) => [cluster, address.join("."), port, protocol].join("/");
  const step = fc.record({ name, index: fc.integer({ min: 1, max: ROWS - 1 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const rows = createBackendRows(ROWS);
      const model = new Map<string, number>();
      const held = new Map<number, Name>();
      const find = (one: Name) => rows.find(one.cluster, addressWords(one.address), portWord(one.port, one.protocol));
      for (const { name, index } of steps) {
        const before = held.get(index);
        if (before !== undefined) {
          rows.unlink(index);
          held.delete(index);
          model.delete(keyOf(before));
        } else if (!model.has(keyOf(name))) {
          rows.fill(index, newRow(index, name));
          rows.link(index);
          held.set(index, name);
          model.set(keyOf(name), index);
        }
        for (const seen of steps) assert.equal(find(seen.name), model.get(keyOf(seen.name)) ?? 0);
      }
    }),
    fastCheckOptions(60),
  );
});

test("a row equals that of the codec, and of two with one name the first is found", () => {
  const rows = createBackendRows(ROWS);
  const one = { cluster: 300, address: Uint8Array.from({ length: 16 }, (_, i) => 200 + i), port: 8080, protocol: 6 };
  for (const index of [3, 5]) {
    rows.fill(index, newRow(0xff000000 + index, one));
    rows.link(index);
  }
  const find = () => rows.find(one.cluster, addressWords(one.address), portWord(one.port, one.protocol));
  assert.equal(find(), 3);
  rows.unlink(5);
  assert.equal(find(), 3);
  rows.unlink(3);
  assert.equal(find(), 0);
  const row = { port: 8080, proto: 6, state: 0, node: 9, cluster: 300, zone: 0, flags: 1, addr: one.address };
  assert.deepEqual(rows.bodies([3]), BackendRow.encode({ ...row, id: 0 }).subarray(4));
  assert.equal(rows.get(3, Word.id), 0xff000003);
  const other = createBackendRows(ROWS);
  other.take(4, BackendRow.encode({ ...row, id: 7 }));
  other.link(4);
  assert.equal(other.find(one.cluster, addressWords(one.address), portWord(one.port, one.protocol)), 4);
});
