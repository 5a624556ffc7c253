import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { Kind } from "@isthmus/proto";
import fc from "fast-check";
import { hashRecord } from "./hash.js";
import { createRecordTable, sameSums } from "./record-table.js";
import { accumulate, emptySum, sumBytes } from "./sum.js";

const M = 1n << 128n;
const big = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
const bytes16 = fc.uint8Array({ minLength: 16, maxLength: 16 });

test("sums are modulo 2^128, and a subtraction undoes an addition", () => {
  fc.assert(
    fc.property(fc.array(bytes16, { minLength: 1 }), (hashes) => {
      const sum = emptySum();
      for (const hash of hashes) accumulate(sum, hash, 1);
      assert.equal(
        big(sumBytes(sum)),
        hashes.reduce((total, hash) => (total + big(hash)) % M, 0n),
      );
      for (const hash of hashes) accumulate(sum, hash, -1);
      assert.equal(big(sumBytes(sum)), 0n);
    }),
  );
});

test("the hash covers the length of the key, the key and the value", () => {
  const key = "nodes/n1";
  const expected = createHash("sha256")
    .update(Buffer.from([0, 0, 0, 8]))
    .update(key)
    .update("v")
    .digest();
  assert.deepEqual(hashRecord(Kind.KIND_NODE, key, Buffer.from("v")).hash, expected.subarray(0, 16));
});

test("the digest of a table depends on its records, not on the order of changes", () => {
  const name = fc.stringMatching(/^[a-c]{1,2}$/);
  fc.assert(
    fc.property(fc.array(fc.tuple(name, fc.nat(2))), fc.array(name), (writes, deletes) => {
      const [walked, fresh] = [createRecordTable(), createRecordTable()];
      for (const [n, v] of writes) walked.set(hashRecord(Kind.KIND_NODE, `nodes/${n}`, Buffer.from([v])));
      for (const n of deletes) walked.delete(`nodes/${n}`);
      for (const record of [...walked.records()].reverse()) fresh.set(record);
      assert.ok(sameSums(walked.sums([Kind.KIND_NODE]), fresh.sums([Kind.KIND_NODE])));
      assert.equal(walked.digest(Kind.KIND_NODE).count, walked.size);
    }),
  );
});
