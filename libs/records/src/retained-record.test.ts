import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress, parseClusterId, parseClusterName, parsePrefix } from "@isthmus/model";
import { Kind, RefusalReason, Slice } from "@isthmus/proto";
import { BOUNDS } from "./bounds.js";
import { recordHash } from "./hash.js";
import { peerKey, peerRecord, retainedRecord } from "./retained-record.js";
import { validateRecord } from "./validate.js";

const limits = {
  cluster: parseClusterName("west"),
  id: parseClusterId(2),
  podCidrs: [parsePrefix("10.2.0.0/16")],
  excludedCidrs: [],
};
const slice = (address: string, weight = 0) =>
  Slice.encode(Slice.fromPartial({ backends: [{ address: Buffer.from(parseAddress(address)), weight }] })).finish();
const kept = (value: Uint8Array, key = "slices/a/b/c") => {
  const record = peerRecord(Kind.KIND_SLICE, key, value);
  return retainedRecord(record, validateRecord(record, limits));
};

test("a record is kept as a copy if it is accepted, or may be after a change by the operator or another cluster", () => {
  const message = Buffer.alloc(1 << 20);
  const value = slice("10.2.0.1");
  message.set(value, 1000);
  for (const bytes of [message.subarray(1000, 1000 + value.length), slice("10.3.0.1")]) {
    const record = kept(bytes);
    assert.deepEqual(Buffer.from(record.value), Buffer.from(bytes));
    assert.ok(record.value.buffer.byteLength < 1000);
    assert.equal(record.refused, undefined);
  }
});

test("only key and hash of a record that is refused for good are kept, and it is refused again with the same message", () => {
  for (const value of [Buffer.alloc(BOUNDS.value + 1), slice("10.2.0.1", 70_000), slice("127.0.0.1"), Buffer.of(255)]) {
    const record = kept(value);
    assert.deepEqual([record.value.length, record.hash], [0, recordHash("slices/a/b/c", value)]);
    const again = validateRecord(record, limits);
    const first = validateRecord({ ...record, value, refused: undefined } as never, limits);
    assert.deepEqual([again.ok, again], [false, first]);
  }
});

test("a key that is too long is kept as its digest; the record's hash covers the whole key", () => {
  const key = `slices/a/b/${"c".repeat(1_000_000)}`;
  const record = kept(slice("10.2.0.1"), key);
  assert.equal(record.key, peerKey(key));
  assert.match(record.key, /^slices\/#[0-9a-f]{64}$/);
  assert.deepEqual(record.hash, recordHash(key, slice("10.2.0.1")));
  assert.equal(record.refused?.reason, RefusalReason.REFUSAL_REASON_TOO_LARGE);
  assert.notEqual(peerKey(`${key}d`), record.key);
});
