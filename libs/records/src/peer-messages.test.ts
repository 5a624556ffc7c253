import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterClaim, Head, Kind } from "@isthmus/proto";
import { BOUNDS } from "./bounds.js";
import { readClaim, readHead } from "./peer-messages.js";

const head = (part: Parameters<typeof Head.fromPartial>[0]) => readHead(Head.encode(Head.fromPartial(part)).finish());
const claim = (name: string, uid: string) => readClaim(ClusterClaim.encode({ name, uid }).finish());
const long = (length: number) => "x".repeat(length);

test("a head within bounds is read, also with additions of a newer version", () => {
  const sums = [Kind.KIND_NODE, 99 as Kind].map((kind) => ({ kind, exported: true, count: 1, sum: Buffer.alloc(16) }));
  const found = head({ clusterUid: long(BOUNDS.uid), writer: long(BOUNDS.identifier), sums, capabilities: ["later"] });
  assert.deepEqual([found?.sums.length, found?.capabilities], [2, ["later"]]);
  assert.equal(claim(long(32), long(BOUNDS.uid))?.name.length, 32);
});

test("bytes that decode without a cluster are neither a head nor a claim", () => {
  for (const bytes of [Buffer.alloc(0), Buffer.alloc(9), Buffer.from([0x18, 0x01])]) {
    assert.equal(readHead(bytes), undefined);
    assert.equal(readClaim(bytes), undefined);
  }
  assert.equal(claim("west", ""), undefined);
  assert.equal(claim("", "u"), undefined);
});

test("a head or a claim beyond its bounds is treated as absent", () => {
  const sum = { kind: Kind.KIND_NODE, exported: true, count: 1, sum: Buffer.alloc(16) };
  assert.equal(head({ clusterUid: long(33_000) }), undefined);
  assert.equal(head({ clusterUid: "u", writer: long(BOUNDS.identifier + 1) }), undefined);
  assert.equal(head({ clusterUid: "u", epoch: long(BOUNDS.identifier + 1) }), undefined);
  assert.equal(head({ clusterUid: "u", sums: Array.from({ length: BOUNDS.kinds + 1 }, () => sum) }), undefined);
  assert.equal(head({ clusterUid: "u", sums: [{ ...sum, sum: Buffer.alloc(17) }] }), undefined);
  assert.equal(
    head({ clusterUid: "u", capabilities: Array.from({ length: BOUNDS.capabilities + 1 }, () => "c") }),
    undefined,
  );
  assert.equal(readHead(Buffer.alloc(BOUNDS.meta + 1)), undefined);
  assert.equal(readHead(Buffer.from([0xff])), undefined);
  assert.equal(claim(long(33), "u"), undefined);
  assert.equal(claim("west", long(BOUNDS.uid + 1)), undefined);
  assert.equal(readClaim(Buffer.from([0xff])), undefined);
});
