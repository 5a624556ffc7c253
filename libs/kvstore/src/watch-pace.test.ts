/** How often a store that breaks each stream after one event is watched: the event does not reset the back-off. */
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import type { ICallable } from "etcd3";
import { runWatch, type WatchMessage } from "./watch.js";

/** Each stream answers, sends one event, and breaks. */
class BreakingStream extends EventEmitter {
  constructor(revision: number) {
    super();
    setImmediate(() => {
      const header = { revision: String(revision) };
      this.emit("data", { created: true, header, events: [] });
      const kv = { key: Buffer.from("/p/k"), value: Buffer.from("v"), mod_revision: String(revision) };
      this.emit("data", { header, events: [{ type: "Put", kv }] });
      this.emit("error", new Error("reset"));
    });
  }
  write(): boolean {
    return true;
  }
  cancel(): void {}
}

test("a stream that brings an event and breaks is opened again ever more rarely", async () => {
  let opened = 0;
  const calls = {
    withConnection: async (_: string, use: (on: { readonly client: unknown }) => unknown) =>
      use({ client: { watch: () => new BreakingStream(++opened) } }),
  };
  const stop = new AbortController();
  const news: WatchMessage[] = [];
  const timer = setTimeout(() => stop.abort(), 2000);
  const options = { prefix: "/p/", from: 1n, signal: stop.signal };
  await runWatch(calls as unknown as ICallable<unknown>, options, (each) => void news.push(each));
  clearTimeout(timer);
  assert.ok(opened >= 3 && opened <= 12, `${opened} streams in two seconds`);
  assert.equal(news.filter(({ type }) => type === "events").length, opened, "and no event is lost");
});
