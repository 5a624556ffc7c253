import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress, TCP } from "@isthmus/model";
import { type Logger, silentLogger } from "@isthmus/observe";
import { frontendName, rejectName } from "./desired/services/frontends.js";
import { createFailureReporter, nameObject } from "./failure-reporter.js";

function makeLog(): { log: Logger; lines: string[] } {
  const lines: string[] = [];
  const write = (message: string, fields = {}) => void lines.push(`${message} ${JSON.stringify(fields)}`);
  return { log: { ...silentLogger, warn: write, info: write }, lines };
}

const NAME = frontendName(parseAddress("10.96.0.1"), 80, TCP);

test("a failure is logged once, and its end once", () => {
  const { log, lines } = makeLog();
  const report = createFailureReporter(log);
  const full: [string, Error][] = [[NAME, new Error("Cannot add to mesh_backends_v1")]];
  report({ errors: full });
  report({ errors: full });
  report({ errors: [] });
  report({ errors: [] });
  assert.equal(lines.length, 2);
  assert.match(lines[0] ?? "", /10\.96\.0\.1:80\/TCP/);
  assert.match(lines[1] ?? "", /again .*10\.96\.0\.1:80\/TCP/);
});

test("a thousand failures are ten log lines and a count", () => {
  const { log, lines } = makeLog();
  createFailureReporter(log)({ errors: Array.from({ length: 1000 }, (_, i) => [`shop/s${i}`, new Error("no room")]) });
  assert.equal(lines.length, 11);
  assert.match(lines[10] ?? "", /"count":990/);
});

test("objects are logged with readable names", () => {
  assert.equal(nameObject(rejectName(NAME)), "10.96.0.1, ports without a row");
  assert.equal(nameObject(frontendName(parseAddress("fd00::1"), 80, TCP)), "fd00::1:80/TCP");
  assert.equal(nameObject("node 1/n1"), "node 1/n1");
  assert.equal(nameObject("shop/name-of-20-byte"), "shop/name-of-20-byte");
  assert.equal(nameObject("shop/cart-of-20-letters"), "shop/cart-of-20-letters");
});
