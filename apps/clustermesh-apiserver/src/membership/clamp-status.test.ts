import assert from "node:assert/strict";
import { test } from "node:test";
import { StatusResponse } from "@isthmus/proto";
import { clampStatus } from "./clamp-status.js";

test("texts of peers and nodes are printable and bounded before they are sent, and numbers fit the wire", () => {
  const hostile = `\u001b[2J\u009b\u202e\n${"x".repeat(1 << 20)}`;
  const status = StatusResponse.fromPartial({
    cluster: "east",
    kubeAgeMs: -1,
    publisher: { state: "Refused", message: hostile, storeId: Buffer.alloc(1 << 20), pending: 2 ** 40 },
    sources: [
      {
        ...{ cluster: "west", message: hostile, storeId: Buffer.alloc(16, 1), revision: 7n, skewMs: 2 ** 40 },
        refused: [{ reason: hostile, count: 1, example: hostile }],
      },
    ],
    agents: [{ node: hostile, version: hostile, maps: [{ map: hostile, used: 1, capacity: 2 }] }],
  });
  const sent = clampStatus(status);
  const wire = StatusResponse.encode(sent).finish();
  assert.ok(wire.length < 16_384, `${wire.length} bytes`);
  const texts = JSON.stringify(sent, (_, value) => (typeof value === "bigint" ? String(value) : value));
  assert.doesNotMatch(texts, /\\u001b|\\n|[\p{Cc}\p{Cf}]/u);
  assert.deepEqual(sent.sources[0]?.storeId, Buffer.alloc(16, 1));
  assert.equal(sent.sources[0]?.revision, 7n);
  assert.deepEqual([sent.kubeAgeMs, sent.publisher?.pending, sent.sources[0]?.skewMs], [0, 2 ** 32 - 1, 2 ** 31 - 1]);
});
