import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import { ask, combineAnswers, longestRefused } from "./port-probe.js";
import { readyAddresses } from "./slice-watch.js";

test("the longest run of refusals counts; a connection without an answer ends a run", () => {
  const row = (...answers: ("open" | "refused" | "silent")[]) => answers.map((answer, n) => ({ at: n * 100, answer }));
  assert.equal(longestRefused(row("open", "refused", "refused", "refused", "open")), 200);
  assert.equal(longestRefused(row("refused", "silent", "refused", "refused")), 100);
  assert.equal(longestRefused(row("open", "refused", "open")), 0);
  assert.equal(longestRefused([]), 0);
});

test("a part with several addresses is open if one is, and refused if all are", () => {
  assert.equal(combineAnswers(["refused", "silent", "open"]), "open");
  assert.equal(combineAnswers(["refused", "silent"]), "silent");
  assert.equal(combineAnswers(["refused", "refused"]), "refused");
});

test("a port is open or refused", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  assert.equal(await ask("127.0.0.1", port), "open");
  server.close();
  await once(server, "close");
  assert.equal(await ask("127.0.0.1", port), "refused");
});

test("an address is ready unless its slice says otherwise", () => {
  const endpoints = [
    { addresses: ["10.0.0.1"], conditions: { ready: true } },
    { addresses: ["10.0.0.2"], conditions: { ready: false, terminating: true } },
    { addresses: ["10.0.0.3"] },
  ];
  assert.deepEqual(readyAddresses({ metadata: {}, ...{ endpoints } }), ["10.0.0.1", "10.0.0.3"]);
});
