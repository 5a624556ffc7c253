/** How often requests to a server that ends each of them at once are repeated. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type Clock, systemClock } from "@isthmus/model";
import { silentLogger } from "@isthmus/observe";
import { until } from "@isthmus/testing";
import { CONFIG_MAPS } from "../resources.js";
import { createScriptedApi } from "../testing/scripted-api.js";
import { createListWatch } from "./list-watch.js";

/** A clock that records pauses, shortens them to 1 ms, and can be advanced by the test. */
function pausingClock() {
  const pauses: number[] = [];
  let ahead = 0;
  const clock = {
    ...systemClock,
    now: () => systemClock.now() + ahead,
    delay(ms: number, signal?: AbortSignal) {
      pauses.push(ms);
      return systemClock.delay(1, signal);
    },
  };
  const advance = (ms: number): void => {
    ahead += ms;
  };
  return { clock, pauses, advance };
}

/** Lists by pages and watches, until the test ends. */
function runWatch(t: TestContext, { transport }: ReturnType<typeof createScriptedApi>, clock: Clock): void {
  const watch = createListWatch<string>(
    { resource: CONFIG_MAPS, namespace: "n", read: "pages", project: () => "" },
    { transport, log: silentLogger, clock, onChange: () => undefined },
  );
  const stop = new AbortController();
  const running = watch.run(stop.signal);
  t.after(() => {
    stop.abort();
    return running;
  });
}

test("watches that end within seconds are reopened with growing pauses; one that lasted at once", async (t) => {
  const api = createScriptedApi(() => 1);
  const { clock, pauses, advance } = pausingClock();
  runWatch(t, api, clock);
  const watched = async (lastedMs: number) => {
    await until("it is watched", () => api.streams.length === 1);
    const [stream] = api.streams;
    assert.ok(stream !== undefined);
    advance(lastedMs);
    stream.end();
    await until("the watch is over", () => !api.streams.includes(stream));
  };
  await until("it is listed", () => api.lists.length === 1);
  api.lists[0]?.answer(1, []);
  for (let i = 0; i < 7; i++) await watched(200);
  await until("a pause after each", () => pauses.length === 7);
  assert.ok((pauses[6] ?? 0) > 8 * (pauses[0] ?? 0), pauses.map(Math.round).join(" "));
  await watched(60_000);
  await until("it is watched again", () => api.streams.length === 1);
  assert.equal(pauses.length, 7);
});

test("a streamed list that ends before it is complete is requested again after a pause, each time", async (t) => {
  const api = createScriptedApi(() => 1);
  const { clock, pauses } = pausingClock();
  const modules = { transport: api.transport, log: silentLogger, clock, onChange: () => undefined };
  const watch = createListWatch<string>({ resource: CONFIG_MAPS, namespace: "n", project: () => "" }, modules);
  const stop = new AbortController();
  const running = watch.run(stop.signal);
  t.after(() => {
    stop.abort();
    return running;
  });
  for (let i = 0; i < 5; i++) {
    await until("it is requested", () => api.streams.length === 1);
    api.streams[0]?.end();
    await until("it is over", () => api.streams.length === 0 || pauses.length > i);
  }
  await until("a pause before each", () => pauses.length >= 5);
  assert.equal(watch.inSync, false);
});

test("a server that answers each watch and then refuses it is listed with growing pauses", async (t) => {
  const api = createScriptedApi(() => 1);
  const { clock, pauses } = pausingClock();
  runWatch(t, api, clock);
  for (let i = 0; i < 8; i++) {
    await until("it is listed", () => api.lists.length === 1);
    api.lists[0]?.answer(1, []);
    await until("it is watched", () => api.streams.length === 1);
    api.streams[0]?.send({ type: "ERROR", object: { code: 410, reason: "Expired", message: "too old" } });
    await until("the watch is over", () => api.streams.length === 0);
  }
  await until("a pause before each listing", () => pauses.length >= 7);
  assert.ok((pauses[6] ?? 0) > 8 * (pauses[0] ?? 0), pauses.map(Math.round).join(" "));
});
