import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress, TCP } from "@isthmus/model";
import { type Logger, silentLogger } from "@isthmus/observe";
import { frontendName, rejectName } from "./desired/frontends.js";
import { createFailureReporter, nameObject } from "./failure-reporter.js";

function makeLog(): { log: Logger; lines: string[] } {
  const lines: string[] = [];
  const say = (message: string, fields = {}) => void lines.push(`${message} ${JSON.stringify(fields)}`);
  return { log: { ...silentLogger, warn: say, info: say }, lines };
}

const NAME = frontendName(parseAddress("10.96.0.1"), 80, TCP);

test("a failure is said once, and its end once", () => {
  const { log, lines } = makeLog();
  const tell = createFailureReporter(log);
  const full: [string, Error][] = [[NAME, new Error("Cannot add to mesh_backends_v1")]];
  tell({ errors: full });
  tell({ errors: full });
  tell({ errors: [] });
  tell({ errors: [] });
  assert.equal(lines.length, 2);
  assert.match(lines[0] ?? "", /10\.96\.0\.1:80\/TCP/);
  assert.match(lines[1] ?? "", /again .*10\.96\.0\.1:80\/TCP/);
});

test("a thousand failures are ten sentences and a number", () => {
  const { log, lines } = makeLog();
  createFailureReporter(log)({ errors: Array.from({ length: 1000 }, (_, i) => [`shop/s${i}`, new Error("no room")]) });
  assert.equal(lines.length, 11);
  assert.match(lines[10] ?? "", /"count":990/);
});

test("objects have the names that people know", () => {
  assert.equal(nameObject(rejectName(NAME)), "10.96.0.1, ports without a row");
  assert.equal(nameObject("node 1/n1"), "node 1/n1");
  assert.equal(nameObject("shop/cart-of-20-letters"), "shop/cart-of-20-letters");
});
