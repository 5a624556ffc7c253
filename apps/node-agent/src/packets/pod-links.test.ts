/** When the filters of pods get links in their place. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { attachError } from "@isthmus/bpf";
import { silentLogger } from "@isthmus/observe";
import { createFakeClock } from "@isthmus/testing";
import { createPodLinks, MOST_MS, QUIET_MS } from "./pod-links.js";

/** What the kernel takes to make a device's links. */
const LINK_MS = 30;

function setUp(t: TestContext) {
  const clock = createFakeClock();
  const stop = new AbortController();
  t.after(() => stop.abort());
  /** Devices with links, and when they got them. */
  const made = new Map<number, number>();
  /** Devices that refuse links, with the errno. */
  const refusing = new Map<number, string>();
  const [warnings, attempts]: [string[], number[]] = [[], []];
  const log = { ...silentLogger, warn: (message: string) => void warnings.push(message) };
  const links = {
    attachAtOnce: async (ifindex: number) => !made.has(ifindex),
    async attach(ifindex: number) {
      attempts.push(ifindex);
      await clock.delay(LINK_MS);
      const errno = refusing.get(ifindex);
      if (errno !== undefined)
        throw attachError("from_pod", `device ${ifindex}`, Object.assign(new Error("refused"), { code: errno }));
      made.set(ifindex, clock.now());
    },
  };
  const podLinks = createPodLinks({ links, programs: [], log, clock, signal: stop.signal });
  return { clock, stop, made, refusing, warnings, attempts, podLinks };
}

test("links come one after another, a while after the last ADD", async (t) => {
  const { clock, made, podLinks } = setUp(t);
  await podLinks.attach(1);
  await clock.advance(QUIET_MS - 1);
  for (const ifindex of [2, 3]) await podLinks.attach(ifindex);
  await clock.advance(QUIET_MS - 1);
  assert.equal(made.size, 0);
  await clock.advance(1 + 3 * LINK_MS);
  const first = 2 * QUIET_MS - 1 + LINK_MS;
  assert.deepEqual(
    [...made],
    [
      [1, first],
      [2, first + LINK_MS],
      [3, first + 2 * LINK_MS],
    ],
  );
  assert.equal(clock.waiting, 0);
});

test("an ADD stops those that follow until it is quiet again", async (t) => {
  const { clock, made, podLinks } = setUp(t);
  for (const ifindex of [1, 2, 3]) await podLinks.attach(ifindex);
  await clock.advance(QUIET_MS + LINK_MS / 2);
  await podLinks.attach(4);
  await clock.advance(QUIET_MS - 1);
  assert.deepEqual([...made.keys()], [1]);
  await clock.advance(1 + 3 * LINK_MS);
  assert.deepEqual([...made.keys()], [1, 2, 3, 4]);
});

test("ADDs without a pause let no device wait longer than the bound", async (t) => {
  const { clock, made, podLinks } = setUp(t);
  const added = new Map<number, number>();
  for (let ifindex = 1; ifindex <= 200; ifindex++) {
    added.set(ifindex, clock.now());
    await podLinks.attach(ifindex);
    await clock.advance(QUIET_MS / 5);
  }
  assert.ok(made.size >= 140, `${made.size} have links`);
  for (const [ifindex, atMs] of made) {
    const waitedMs = atMs - (added.get(ifindex) ?? 0);
    assert.ok(waitedMs >= MOST_MS && waitedMs <= MOST_MS + 2 * LINK_MS, `device ${ifindex} waited ${waitedMs} ms`);
  }
});

test("a device that refuses links holds up no other, is reported once, and tried again with back-off", async (t) => {
  const { clock, made, refusing, warnings, attempts, podLinks } = setUp(t);
  refusing.set(1, "EBUSY");
  for (const ifindex of [1, 2]) await podLinks.attach(ifindex);
  await clock.advance(QUIET_MS + 2 * LINK_MS);
  assert.deepEqual([[...made.keys()], warnings.length], [[2], 1]);
  await clock.advance(120_000);
  const tries = attempts.filter((ifindex) => ifindex === 1).length;
  assert.ok(tries > 3 && tries < 20, `${tries} tries in two minutes`);
  refusing.clear();
  await clock.advance(30_000 + LINK_MS);
  assert.deepEqual([[...made.keys()], warnings.length, clock.waiting], [[2, 1], 1, 0]);
});

test("a device that is gone is no problem, forgotten or not; one that has links needs none", async (t) => {
  const { clock, made, refusing, warnings, attempts, podLinks } = setUp(t);
  made.set(4, 0);
  for (const ifindex of [1, 2, 3, 4]) await podLinks.attach(ifindex);
  podLinks.forget(2);
  refusing.set(1, "ENODEV").set(3, "EBUSY");
  await clock.advance(QUIET_MS + LINK_MS + 1);
  podLinks.forget(3);
  await clock.advance(60_000);
  assert.deepEqual([attempts, warnings, clock.waiting], [[1, 3], [], 0]);
});

test("no link is made after the stop", async (t) => {
  const { clock, stop, attempts, podLinks } = setUp(t);
  for (const ifindex of [1, 2]) await podLinks.attach(ifindex);
  await clock.advance(QUIET_MS);
  stop.abort();
  let isIdle = false;
  const idle = podLinks.idle().then(() => {
    isIdle = true;
  });
  await clock.advance(LINK_MS - 1);
  assert.equal(isIdle, false, "the kernel makes the first link");
  await clock.advance(60_000);
  await idle;
  assert.deepEqual([attempts, clock.waiting], [[1], 0]);
});
