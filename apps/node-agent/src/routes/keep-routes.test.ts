import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { silentLogger } from "@isthmus/observe";
import { createFakeClock, settle } from "@isthmus/testing";
import type { Routes } from "./desired-routes.js";
import { keepRoutes, type RouteKernel } from "./routes.js";

const routes = (...cidrs: readonly string[]): Routes =>
  new Map(cidrs.map((cidr) => [cidr, { cidr, via: "172.18.0.2" }]));

/** A kernel with these routes; `atList` runs when it is read, before its answer is heard. */
function rig(t: TestContext, present: readonly string[]) {
  const state = { desired: routes(), complete: false, atList: () => {}, refuse: "" };
  const table = new Set(present);
  const stop = new AbortController();
  t.after(() => stop.abort());
  const run = (line: string) => {
    if (state.refuse !== "" && line.includes(state.refuse)) throw new Error(`RTNETLINK answers: ${state.refuse}`);
    const [, verb, cidr = ""] = line.split(" ");
    if (verb === "del") table.delete(cidr);
    else table.add(cidr);
  };
  const kernel: RouteKernel = {
    async list(family) {
      const shown = [...table].map((dst) => ({ dst, gateway: "172.18.0.2" }));
      state.atList();
      return family === "-4" ? JSON.stringify(shown) : "";
    },
    batch: async (lines) => lines.forEach(run),
    one: async (line) => run(line),
  };
  const clock = createFakeClock();
  const keeper = keepRoutes({
    log: silentLogger,
    clock,
    signal: stop.signal,
    desired: () => state.desired,
    complete: () => state.complete,
    kernel,
  });
  return { state, table, clock, keeper };
}

test("what becomes known while the kernel is read removes no route: wishes and their completeness are of one moment", async (t) => {
  const { state, table, keeper } = rig(t, ["10.11.1.0/24", "10.12.0.0/24"]);
  state.desired = routes("10.11.1.0/24");
  state.atList = () => {
    state.desired = routes("10.11.1.0/24", "10.12.0.0/24");
    state.complete = true;
  };
  keeper.kick();
  await settle();
  assert.deepEqual([...table], ["10.11.1.0/24", "10.12.0.0/24"]);
  assert.equal(keeper.written, 0);
});

test("once everything is known, what nobody wants goes", async (t) => {
  const { state, table, keeper } = rig(t, ["10.11.1.0/24", "10.99.0.0/24"]);
  state.desired = routes("10.11.1.0/24");
  keeper.kick();
  await settle();
  assert.equal(table.size, 2);
  state.complete = true;
  keeper.kick();
  await settle();
  assert.deepEqual([...table], ["10.11.1.0/24"]);
});

test("a route that the kernel refuses is said, holds up no other, and is tried again", async (t) => {
  const { state, table, clock, keeper } = rig(t, ["10.99.0.0/24"]);
  state.desired = routes("10.11.1.0/24", "10.12.0.0/24");
  state.complete = true;
  state.refuse = "10.11.1.0/24";
  keeper.kick();
  await settle();
  assert.deepEqual([...table], ["10.12.0.0/24"]);
  assert.match(keeper.problem ?? "", /10\.11\.1\.0/);
  state.refuse = "";
  await clock.advance(1000);
  await settle();
  assert.equal(table.size, 2);
  assert.equal(keeper.problem, undefined);
});
