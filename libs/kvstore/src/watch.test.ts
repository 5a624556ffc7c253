import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "@isthmus/testing";
import { createStore, type Store, type Write } from "./store.js";
import { type CutProxy, type EtcdServer, startCutProxy, startEtcd } from "./testing/index.js";
import type { WatchMessage } from "./watch.js";

let etcd: EtcdServer;
let writer: Store;

before(async () => {
  etcd = await startEtcd();
  writer = createStore(await etcd.options("root"));
});
after(async () => {
  writer.close();
  await etcd.close();
});

/** Writes `count` keys of `size` bytes in txns of 100. */
async function fill(prefix: string, count: number, size = 100): Promise<bigint> {
  let revision = 0n;
  for (let i = 0; i < count; i += 100) {
    const writes: Write[] = Array.from({ length: Math.min(100, count - i) }, (_, n) => ({
      type: "put",
      key: `${prefix}${i + n}`,
      value: Buffer.alloc(size, i + n),
    }));
    ({ revision } = await writer.txn([], writes));
  }
  return revision;
}

interface Followed {
  readonly keys: string[];
  readonly messages: WatchMessage[];
  readonly over: Promise<void>;
  readonly stop: () => void;
}

function follow(store: Store, prefix: string, from: bigint): Followed {
  const controller = new AbortController();
  const [keys, messages]: [string[], WatchMessage[]] = [[], []];
  const over = store.watch({ prefix, from, signal: controller.signal }, (each) => {
    messages.push(each);
    if (each.type === "events") for (const event of each.events) keys.push(`${event.key}@${event.modRevision}`);
  });
  return { keys, messages, over, stop: () => controller.abort() };
}

async function through(proxy: CutProxy): Promise<Store> {
  return createStore(await etcd.options("root", proxy.port));
}

test("a connection cut repeatedly within a backlog over 4 MB loses and repeats no event", async () => {
  const { revision } = await writer.get("/");
  await fill("/big/", 20_000, 400); // 8 MB in 200 revisions: one response without fragments would be over 4 MB
  const proxy = await startCutProxy(etcd.port);
  const store = await through(proxy);
  const cuts = [50_000, 300_000, 1_000_000, 1_700_000, 1_000_001];
  let done = 0;
  const cutting = (async () => {
    for (const bytes of cuts) {
      await proxy.cutAfter(bytes);
      done++;
    }
  })();
  const followed = follow(store, "/big/", revision + 1n);
  await until("all 20,000 events", () => followed.keys.length >= 20_000, 30_000);
  await cutting;
  assert.equal(done, cuts.length, "every cut happened during the backlog");
  assert.equal(followed.keys.length, 20_000);
  assert.equal(new Set(followed.keys).size, 20_000);
  assert.ok(followed.messages.filter(({ type }) => type === "lost").length >= cuts.length);
  followed.stop();
  await followed.over;
  store.close();
  await proxy.close();
});

test("a connection cut inside a fragmented revision delivers the whole revision later", async () => {
  const { revision } = await writer.get("/");
  // Six txns of 20 × 60 KB = 1.2 MB each, below the request limit: etcd sends them as fragments of about 1.5 MB.
  const proxy = await startCutProxy(etcd.port);
  const store = await through(proxy);
  for (let part = 0; part < 6; part++) {
    const writes: Write[] = Array.from({ length: 20 }, (_, i) => ({
      type: "put",
      key: `/fragment/${part}-${i}`,
      value: Buffer.alloc(60_000, i),
    }));
    await writer.txn([], writes);
  }
  const cutting = proxy.cutAfter(2_000_000); // inside the second fragment of the one response
  const followed = follow(store, "/fragment/", revision + 1n);
  await until("120 keys", () => followed.keys.length >= 120);
  await cutting;
  assert.equal(new Set(followed.keys).size, 120);
  assert.equal(followed.keys.length, 120);
  followed.stop();
  await followed.over;
  store.close();
  await proxy.close();
});

test("a compacted revision ends the watch with a message", async () => {
  const from = await fill("/compact/", 300);
  await writer.transport.kv.compact({ revision: String(from), physical: true });
  const followed = follow(writer, "/compact/", 1n);
  await followed.over;
  const last = followed.messages.at(-1);
  assert.ok(last?.type === "compacted" && last.revision === from);
});

test("a wiped store ends the watch", async () => {
  const revision = await fill("/young/", 500);
  const followed = follow(writer, "/young/", revision + 1n);
  await until("the stream is open", () => followed.messages.some(({ type }) => type === "opened"));
  await etcd.wipe();
  await followed.over;
  assert.equal(followed.messages.at(-1)?.type, "set-back");
});

test("aborting ends a watch at once, and no message follows", async () => {
  const { revision } = await writer.get("/");
  const followed = follow(writer, "/quiet/", revision + 1n);
  await until("the stream is open", () => followed.messages.some(({ type }) => type === "opened"));
  const count = followed.messages.length;
  followed.stop();
  await followed.over;
  await fill("/quiet/", 1);
  assert.equal(followed.messages.length, count);
});

test("a suspended store is detected by keepalive, and the watch continues afterwards", async () => {
  const { revision } = await writer.get("/");
  const store = createStore(await etcd.options("root"));
  const followed = follow(store, "/still/", revision + 1n);
  await until("the stream is open", () => followed.messages.some(({ type }) => type === "opened"));
  etcd.signal("SIGSTOP");
  const stopped = performance.now();
  await until("the suspension is detected", () => followed.messages.some(({ type }) => type === "lost"), 25_000);
  assert.ok(performance.now() - stopped < 20_000);
  etcd.signal("SIGCONT");
  await fill("/still/", 10);
  await until("events continue", () => followed.keys.length === 10);
  followed.stop();
  await followed.over;
  store.close();
});
