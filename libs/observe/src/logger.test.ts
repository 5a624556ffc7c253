import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshError } from "@isthmus/model";
import { createLogger } from "./logger.js";

function capture(): { lines: Record<string, unknown>[]; destination: { write(line: string): void } } {
  const lines: Record<string, unknown>[] = [];
  return { lines, destination: { write: (line) => void lines.push(JSON.parse(line)) } };
}

test("a line contains the message, its fields, the module and the level by name", () => {
  const { lines, destination } = capture();
  createLogger({ app: "apiserver", destination }).child("serve").info("Agent connected", { node: "n1" });
  const line = lines[0] ?? {};
  assert.deepEqual(
    { ...line, time: undefined },
    { level: "info", app: "apiserver", module: "serve", node: "n1", msg: "Agent connected", time: undefined },
  );
});

test("fields named like a secret are replaced", () => {
  const { lines, destination } = capture();
  createLogger({ app: "a", destination }).warn("Request refused", {
    token: "t0p",
    request: { authorization: "Bearer t0p" },
  });
  assert.equal(JSON.stringify(lines).includes("t0p"), false);
});

test("an error is logged as code, sentence and cause", () => {
  const { lines, destination } = capture();
  const error = new MeshError({ code: "MAP_FULL" }, "Cannot add a backend", { cause: new Error("E2BIG") });
  createLogger({ app: "a", destination }).error("Apply failed", { error });
  assert.deepEqual(lines[0]?.["error"], {
    code: "MAP_FULL",
    sentence: "Cannot add a backend",
    cause: { sentence: "E2BIG" },
  });
});

test("a nested child has one module field, and a field named message is kept", () => {
  const text: string[] = [];
  const log = createLogger({ app: "a", destination: { write: (line) => void text.push(line) } });
  log.child("mesh").child("remote", { cluster: "east" }).info("Source changed", { message: "silent" });
  assert.equal(text[0]?.match(/"module"/g)?.length, 1);
  assert.match(text[0] ?? "", /"module":"mesh\.remote".*"message":"silent","msg":"Source changed"/);
});

test("keys and tokens are removed at any depth and inside any text", () => {
  const text: string[] = [];
  const log = createLogger({ app: "a", level: "debug", destination: { write: (line) => void text.push(line) } });
  const pem =
    "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEG\nCCqGSM49AwEHBG0wawIBAQQg\n-----END PRIVATE KEY-----\n";
  const jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtZXNoIn0.c2lnbmF0dXJlLW9mLWl0";
  log.debug(`Sent ${jwt} on`, { a: { b: { c: { token: "t0p", text: `Bearer ${jwt}` } } } });
  log.child("x", { headers: { authorization: "Basic t0p" } }).info("Read", { file: { content: `x ${pem} y` } });
  log.error("Refused", {
    error: new Error(`bad key ${pem}`, { cause: new Error(`Authorization: Bearer t0p-opaque`) }),
  });
  log.warn("Cut short", { text: pem.slice(0, 70), list: [{ password: "t0p" }] });
  const all = text.join("");
  assert.equal(text.length, 4);
  for (const line of text) assert.doesNotThrow(() => JSON.parse(line), line);
  for (const secret of ["t0p", "MIGHAg", "CCqGSM", jwt, "c2lnbmF0dXJl", "eyJzdWIi"])
    assert.ok(!all.includes(secret), all);
  assert.match(all, /x \[secret\]\\n y/);
});

test("certificates, record keys and counts of keys are not secrets and stay", () => {
  const { lines, destination } = capture();
  const certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----";
  createLogger({ app: "a", destination }).info("Seen", { certificate, records: ["services/a/b"], keys: 3 });
  assert.equal(lines[0]?.["certificate"], certificate);
  assert.equal(lines[0]?.["keys"], 3);
});

test("text from outside neither floods the log nor controls a terminal", () => {
  const text: string[] = [];
  const log = createLogger({ app: "a", destination: { write: (line) => void text.push(line) } });
  const hostile = `\u001b[2J\u009b\u202e\u2028\n${"x".repeat(1 << 20)}`;
  log.warn("Peer refused", { key: "k", name: hostile, deep: { list: [hostile] }, many: Array(100_000).fill(hostile) });
  log.warn("Peer refused", { error: new MeshError({ code: "X" }, hostile, { cause: new Error(hostile) }) });
  log.child("x", { name: hostile }).warn("Peer refused", { [hostile]: 1 });
  let nested: object = {};
  for (let i = 0; i < 10_000; i++) nested = { nested };
  log.warn("Peer refused", { nested, bytes: Buffer.alloc(1 << 20), position: 2n ** 63n });
  assert.equal(text.length, 4);
  for (const line of text) {
    assert.doesNotThrow(() => JSON.parse(line));
    assert.doesNotMatch(line.trimEnd(), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
    assert.ok(line.length < 400_000, `${line.length}`);
  }
});
