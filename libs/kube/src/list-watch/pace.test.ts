/** How often a server is asked that ends everything at once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "@isthmus/model";
import { silentLogger } from "@isthmus/observe";
import { until } from "@isthmus/testing";
import { CONFIG_MAPS } from "../resources.js";
import { createScriptedApi } from "../testing/scripted-api.js";
import { createListWatch } from "./list-watch.js";

test("a streamed list that ends before it is whole is asked for again after a pause, each time", async (t) => {
  const api = createScriptedApi(() => 1);
  let pauses = 0;
  const clock = {
    ...systemClock,
    delay(_: number, signal?: AbortSignal) {
      pauses++;
      return systemClock.delay(1, signal);
    },
  };
  const modules = { transport: api.transport, log: silentLogger, clock, onChange: () => undefined };
  const watch = createListWatch<string>({ resource: CONFIG_MAPS, namespace: "n", project: () => "" }, modules);
  const stop = new AbortController();
  const running = watch.run(stop.signal);
  t.after(() => {
    stop.abort();
    return running;
  });
  for (let i = 0; i < 5; i++) {
    await until("it is asked for", () => api.streams.length === 1);
    api.streams[0]?.end();
    await until("and is over", () => api.streams.length === 0 || pauses > i);
  }
  await until("a pause before each", () => pauses >= 5);
  assert.equal(watch.inSync, false);
});
