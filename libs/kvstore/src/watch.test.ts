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
  readonly news: WatchMessage[];
  readonly over: Promise<void>;
  readonly stop: () => void;
}

function follow(store: Store, prefix: string, from: bigint): Followed {
  const controller = new AbortController();
  const [keys, news]: [string[], WatchMessage[]] = [[], []];
  const over = store.watch({ prefix, from, signal: controller.signal }, (each) => {
    news.push(each);
    if (each.type === "events") for (const event of each.events) keys.push(`${event.key}@${event.modRevision}`);
  });
  return { keys, news, over, stop: () => controller.abort() };
}

async function through(proxy: CutProxy): Promise<Store> {
  return createStore(await etcd.options("root", proxy.port));
}

test("a link cut again and again inside a backlog over 4 MB loses nothing and repeats nothing", async () => {
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
  const seen = follow(store, "/big/", revision + 1n);
  await until("all 20,000 events", () => seen.keys.length >= 20_000, 30_000);
  await cutting;
  assert.equal(done, cuts.length, "every cut happened during the backlog");
  assert.equal(seen.keys.length, 20_000);
  assert.equal(new Set(seen.keys).size, 20_000);
  assert.ok(seen.news.filter(({ type }) => type === "lost").length >= cuts.length);
  seen.stop();
  await seen.over;
  store.close();
  await proxy.close();
});

test("a link cut inside a revision that came in fragments gives the whole revision later", async () => {
  const { revision } = await writer.get("/");
  // one txn of 100 × 60 KB = 6 MB: etcd cuts it into fragments of at most 1.5 MB (request limit lifted by parts)
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
  const seen = follow(store, "/fragment/", revision + 1n);
  await until("120 keys", () => seen.keys.length >= 120);
  await cutting;
  assert.equal(new Set(seen.keys).size, 120);
  assert.equal(seen.keys.length, 120);
  seen.stop();
  await seen.over;
  store.close();
  await proxy.close();
});

test("a compacted revision ends the watch and says so", async () => {
  const from = await fill("/compact/", 300);
  await writer.transport.kv.compact({ revision: String(from), physical: true });
  const seen = follow(writer, "/compact/", 1n);
  await seen.over;
  const last = seen.news.at(-1);
  assert.ok(last?.type === "compacted" && last.revision === from);
});

test("a store that was set back ends the watch", async () => {
  const revision = await fill("/young/", 500);
  const seen = follow(writer, "/young/", revision + 1n);
  await until("the stream is open", () => seen.news.some(({ type }) => type === "opened"));
  await etcd.wipe();
  await seen.over;
  assert.equal(seen.news.at(-1)?.type, "set-back");
});

test("aborting ends a watch at once, and nothing is told afterwards", async () => {
  const { revision } = await writer.get("/");
  const seen = follow(writer, "/quiet/", revision + 1n);
  await until("the stream is open", () => seen.news.some(({ type }) => type === "opened"));
  const told = seen.news.length;
  seen.stop();
  await seen.over;
  await fill("/quiet/", 1);
  assert.equal(seen.news.length, told);
});

test("a store that stands still is noticed by keepalive and followed again", async () => {
  const { revision } = await writer.get("/");
  const store = createStore(await etcd.options("root"));
  const seen = follow(store, "/still/", revision + 1n);
  await until("the stream is open", () => seen.news.some(({ type }) => type === "opened"));
  etcd.signal("SIGSTOP");
  const stopped = performance.now();
  await until("the stand-still is noticed", () => seen.news.some(({ type }) => type === "lost"), 25_000);
  assert.ok(performance.now() - stopped < 20_000);
  etcd.signal("SIGCONT");
  await fill("/still/", 10);
  await until("events go on", () => seen.keys.length === 10);
  seen.stop();
  await seen.over;
  store.close();
});
