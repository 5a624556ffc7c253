import assert from "node:assert/strict";
import { test } from "node:test";
import { createLineReader } from "./lines.js";

test("objects are complete wherever the stream is cut, also inside a character", () => {
  const objects = [{ a: "ü" }, { b: 2 }, { c: ["€", "x"] }];
  const bytes = Buffer.from(objects.map((object) => `${JSON.stringify(object)}\n`).join(""));
  for (let size = 1; size <= bytes.length; size++) {
    const reader = createLineReader<unknown>("/test");
    const found: unknown[] = [];
    for (let at = 0; at < bytes.length; at += size) found.push(...reader.push(bytes.subarray(at, at + size)));
    assert.deepEqual(found, objects, `pieces of ${size}`);
  }
});

test("empty lines are skipped; the error for a line that is not JSON names the path", () => {
  const reader = createLineReader<unknown>("/api/v1/pods");
  assert.deepEqual(reader.push(Buffer.from("\n\n")), []);
  assert.throws(() => reader.push(Buffer.from("{oops\n")), /Cannot read an event of "\/api\/v1\/pods"/);
});

test("a line over the size limit is refused", () => {
  const reader = createLineReader<unknown>("/test");
  const chunk = Buffer.alloc(1 << 20, "x");
  assert.throws(
    () => {
      for (let i = 0; i < 20; i++) reader.push(chunk);
    },
    { code: "KUBE_ANSWER" },
  );
});
