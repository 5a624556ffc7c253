import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";
import type { Store, WatchMessage, WatchOptions } from "@isthmus/kvstore";
import { until } from "@isthmus/testing";
import { createReloadableStore } from "./reloadable-store.js";

/** A fake store whose watch runs until it is aborted. */
function fake(name: string): Store {
  const store: Partial<Store> = {
    get: async (key) => ({ entry: { key, value: Buffer.from(name), modRevision: 1n }, revision: 1n }),
    watch: ({ signal }: WatchOptions, onNews) =>
      new Promise((resolve) => {
        onNews({ type: "opened", storeRevision: 1n });
        signal.addEventListener("abort", () => resolve(), { once: true });
      }),
    close: () => undefined,
  };
  return store as Store;
}

const swap = () => createReloadableStore(({ endpoints }) => fake(endpoints[0] ?? ""));

test("without a store every call fails with what to do", async () => {
  const store = swap();
  await assert.rejects(store.get("a"), /none is configured, run "mesh connect"/);
  await assert.rejects(store.txn([], []), { code: "STORE_UNAVAILABLE" });
  await assert.rejects(store.list("/").next(), { code: "STORE_UNAVAILABLE" });
  assert.equal(store.configured, false);
});

test("a watch waits for a store, and ends as set-back when its store is replaced", async () => {
  const store = swap();
  const news: WatchMessage[] = [];
  const stop = new AbortController();
  const first = store.watch({ prefix: "/", from: 1n, signal: stop.signal }, (each) => news.push(each));
  assert.equal(news.length, 0);
  store.swap({ endpoints: ["one"] });
  await until("opened", () => news.length === 1);
  assert.equal((await store.get("a")).entry?.value.toString(), "one");
  store.swap({ endpoints: ["two"] });
  await first;
  assert.deepEqual(
    news.map(({ type }) => type),
    ["opened", "set-back"],
  );
  assert.equal((await store.get("a")).entry?.value.toString(), "two");
});

test("a watch that its user ends emits nothing more", async () => {
  const store = swap();
  store.swap({ endpoints: ["one"] });
  const news: WatchMessage[] = [];
  const stop = new AbortController();
  const running = store.watch({ prefix: "/", from: 1n, signal: stop.signal }, (each) => news.push(each));
  stop.abort();
  await running;
  assert.deepEqual(
    news.map(({ type }) => type),
    ["opened"],
  );
});

test("10,000 watches in sequence leave no listener on their own signal or the store's", async () => {
  const made: AbortSignal[] = [];
  const Original = globalThis.AbortController;
  globalThis.AbortController = class extends Original {
    constructor() {
      super();
      made.push(this.signal);
    }
  };
  try {
    const store = createReloadableStore(() => ({ ...fake("one"), watch: async () => undefined }));
    store.swap({ endpoints: ["one"] });
    const stop = new AbortController();
    for (let i = 0; i < 10_000; i++) {
      await store.watch({ prefix: "/", from: 1n, signal: stop.signal }, () => undefined);
    }
    const left = made.map((signal) => getEventListeners(signal, "abort").length);
    assert.ok(left.length > 10_000);
    assert.equal(
      left.reduce((sum, count) => sum + count),
      0,
    );
  } finally {
    globalThis.AbortController = Original;
  }
});
