import assert from "node:assert/strict";
import { test } from "node:test";
import { createLineReader } from "./lines.js";

test("objects come out whole wherever the stream is cut, also inside a character", () => {
  const objects = [{ a: "ü" }, { b: 2 }, { c: ["€", "x"] }];
  const bytes = Buffer.from(objects.map((object) => `${JSON.stringify(object)}\n`).join(""));
  for (let size = 1; size <= bytes.length; size++) {
    const reader = createLineReader<unknown>("/test");
    const found: unknown[] = [];
    for (let at = 0; at < bytes.length; at += size) found.push(...reader.push(bytes.subarray(at, at + size)));
    assert.deepEqual(found, objects, `pieces of ${size}`);
  }
});

test("empty lines are nothing; a line that is not JSON is refused with the path", () => {
  const reader = createLineReader<unknown>("/api/v1/pods");
  assert.deepEqual(reader.push(Buffer.from("\n\n")), []);
  assert.throws(() => reader.push(Buffer.from("{oops\n")), /Cannot read an event of "\/api\/v1\/pods"/);
});

test("a line without end is refused before it fills the memory", () => {
  const reader = createLineReader<unknown>("/test");
  const chunk = Buffer.alloc(1 << 20, "x");
  assert.throws(
    () => {
      for (let i = 0; i < 20; i++) reader.push(chunk);
    },
    { code: "KUBE_ANSWER" },
  );
});
