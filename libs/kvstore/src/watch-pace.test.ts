/** The back-off of a watch whose streams each break after one event: an event does not reset it. */
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

test("streams that break after one event are reopened with growing pauses", async () => {
  let opened = 0;
  const calls = {
    withConnection: async (_: string, use: (on: { readonly client: unknown }) => unknown) =>
      use({ client: { watch: () => new BreakingStream(++opened) } }),
  };
  const stop = new AbortController();
  const messages: WatchMessage[] = [];
  const timer = setTimeout(() => stop.abort(), 2000);
  const options = { prefix: "/p/", from: 1n, signal: stop.signal };
  await runWatch(calls as unknown as ICallable<unknown>, options, (each) => void messages.push(each));
  clearTimeout(timer);
  assert.ok(opened >= 3 && opened <= 12, `${opened} streams in two seconds`);
  assert.equal(messages.filter(({ type }) => type === "events").length, opened, "no event is lost");
});
