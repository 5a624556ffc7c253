/** Several endpoints of which some are dead: calls use the others, and all are tried when none is left. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { freePort, until } from "@isthmus/testing";
import { createStore } from "./store.js";
import { type EtcdServer, startEtcd } from "./testing/etcd-server.js";

let etcd: EtcdServer;
before(async () => {
  etcd = await startEtcd();
});
after(() => etcd.close());

const failures = async (calls: readonly (() => Promise<unknown>)[]) => {
  let failed = 0;
  for (const call of calls)
    await call().catch(() => {
      failed++;
    });
  return failed;
};

test("with one live endpoint of three, at most one call fails for each dead one", async (t) => {
  const dead = [await freePort(), await freePort()];
  const endpoints = [...dead, etcd.port].map((port) => `http://localhost:${port}`);
  const store = createStore({ endpoints, deadlineMs: 1000 });
  t.after(() => store.close());
  const calls = Array.from({ length: 60 }, () => () => store.get("/a"));
  assert.ok((await failures(calls)) <= 2);
});

test("with all endpoints dead every call tries; one that comes back is used at once", async (t) => {
  const other = await freePort();
  const endpoints = [etcd.port, other].map((port) => `http://localhost:${port}`);
  const store = createStore({ endpoints, deadlineMs: 1000 });
  t.after(() => store.close());
  await etcd.stop();
  assert.equal(await failures(Array.from({ length: 6 }, () => () => store.get("/a"))), 6);
  await etcd.start();
  // The channel dials again after half a second at most, and until then fails each call itself.
  await until("the restarted endpoint answers", async () => (await failures([() => store.get("/a")])) === 0, 5000);
  const calls = Array.from({ length: 40 }, () => () => store.get("/a"));
  assert.ok((await failures(calls)) <= 1, "the dead one fails once");
});
