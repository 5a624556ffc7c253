/** Listings of a real etcd: pages bounded in bytes, whatever the sizes of their entries. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { PAGE_BYTES } from "./page-size.js";
import { createStore, type Page } from "./store.js";
import { startEtcd } from "./testing/index.js";
import { MAX_RECEIVED_BYTES } from "./transport.js";

const etcd = await startEtcd();
const store = createStore(await etcd.options("root"));
after(async () => {
  store.close();
  await etcd.close();
});

async function pagesOf(prefix: string): Promise<Page[]> {
  const pages: Page[] = [];
  for await (const page of store.list(prefix)) pages.push(page);
  return pages;
}

const bytesOf = ({ entries }: Page): number => entries.reduce((sum, { value }) => sum + value.length, 0);

test("all entries are listed in bounded pages, even after a first page too large to be received", async () => {
  const keys: string[] = [];
  for (let i = 0; i < 30; i++) {
    const key = `/large/a${String(i).padStart(3, "0")}`;
    keys.push(key);
    await store.txn([], [{ type: "put", key, value: Buffer.alloc(1 << 20, i) }]);
  }
  for (let i = 0; i < 1200; i += 100) {
    const some = Array.from({ length: 100 }, (_, n) => `/large/b${String(i + n).padStart(5, "0")}`);
    keys.push(...some);
    await store.txn(
      [],
      some.map((key) => ({ type: "put", key, value: Buffer.alloc(100) })),
    );
  }
  const pages = await pagesOf("/large/");
  assert.deepEqual(
    pages.flatMap(({ entries }) => entries.map(({ key }) => key)),
    keys,
  );
  assert.equal(new Set(pages.map(({ revision }) => revision)).size, 1);
  assert.ok(pages.every((page) => bytesOf(page) < MAX_RECEIVED_BYTES));
  const large = pages.slice(1).filter((page) => bytesOf(page) > PAGE_BYTES + (1 << 20));
  assert.deepEqual(large, [], "after the first page their size is known");
  assert.equal(await store.count("/large/"), 1230);
});
