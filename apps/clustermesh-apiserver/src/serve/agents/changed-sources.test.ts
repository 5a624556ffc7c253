/** A peer that changes continuously uses at most its share of the time; rare changes and the local cluster do not wait. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Clock, systemClock } from "@isthmus/model";
import type { StreamSource } from "../../ports/stream-source.js";
import { createFakeSource } from "../../testing/fake-source.js";
import { createChangedSources } from "./changed-sources.js";

const turn = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

/** Each flush takes `costMs` of a clock that the test advances. */
function handedOver(costMs: number) {
  let now = 0;
  const timers: { at: number; run: () => void }[] = [];
  const clock: Clock = { ...systemClock, now: () => now };
  const flushed: string[][] = [];
  const changed = createChangedSources(
    clock,
    (all: ReadonlySet<StreamSource>) => {
      now += costMs;
      flushed.push([...all].map(({ cluster }) => cluster));
    },
    (run, ms) => void timers.push({ at: now + ms, run }),
  );
  return {
    changed,
    flushed,
    now: () => now,
    /** Advances the time and runs the callbacks that are due. */
    async pass(ms: number) {
      const end = now + ms;
      for (;;) {
        const [next] = timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
        if (next === undefined) break;
        timers.splice(timers.indexOf(next), 1);
        now = Math.max(now, next.at);
        next.run();
        await turn();
      }
      now = Math.max(now, end);
    },
  };
}

test("a peer that changes continuously has a quarter of the time; another one and the local cluster are flushed at once", async () => {
  const { changed, flushed, now, pass } = handedOver(10);
  const [local, hostile, quiet] = [
    createFakeSource(0, "local"),
    createFakeSource(1, "hostile"),
    createFakeSource(2, "quiet"),
  ];
  while (now() < 1000) {
    changed.content(hostile);
    await turn();
    await pass(1);
  }
  assert.ok(flushed.length >= 20 && flushed.length <= 26, `${flushed.length} hand-overs of 10 ms in about a second`);
  changed.content(hostile);
  flushed.length = 0;
  for (const source of [quiet, local, local]) {
    changed.content(source);
    await turn();
  }
  assert.deepEqual(
    flushed.flat().filter((name) => name !== "hostile"),
    ["quiet", "local", "local"],
  );
  await pass(1000);
  assert.ok(flushed.flat().includes("hostile"), "its last change is flushed");
});

test("a change of status does not wait, and a removed source is not flushed", async () => {
  const { changed, flushed, pass } = handedOver(10);
  const peer = createFakeSource(1, "peer");
  changed.content(peer);
  await turn();
  changed.content(peer);
  changed.state(peer);
  await turn();
  assert.deepEqual(flushed, [["peer"], ["peer"]]);
  changed.content(peer);
  changed.forget(peer);
  await pass(1000);
  assert.equal(flushed.length, 2);
});
