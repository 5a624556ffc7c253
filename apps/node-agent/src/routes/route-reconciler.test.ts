import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { RouteEvent } from "@isthmus/bpf";
import { parseAddress, parsePrefix } from "@isthmus/model";
import { silentLogger } from "@isthmus/observe";
import { createFakeClock, settle } from "@isthmus/testing";
import { hostDeviceName } from "../pods/device-name.js";
import type { Routes } from "./desired-routes.js";
import { createRouteReconciler, type RouteKernel } from "./route-reconciler.js";

const routes = (...cidrs: readonly string[]): Routes =>
  new Map(cidrs.map((cidr) => [cidr, { cidr, via: "172.18.0.2" }]));

/** A kernel with these routes; `atList` runs during a read, before its result is returned. */
function rig(t: TestContext, present: readonly string[]) {
  const state = { desired: routes(), complete: false, atList: () => {}, refuse: "" };
  const table = new Set(present);
  const stop = new AbortController();
  t.after(() => stop.abort());
  const run = (line: string) => {
    if (state.refuse !== "" && line.includes(state.refuse)) return [{ line, reason: "RTNETLINK answers: no" }];
    const [, verb, cidr = ""] = line.split(" ");
    if (verb === "del") table.delete(cidr);
    else table.add(cidr);
    return [];
  };
  const kernel: RouteKernel = {
    async list(family) {
      const shown = [...table].map((dst) => ({ dst, gateway: "172.18.0.2" }));
      state.atList();
      return family === "-4" ? JSON.stringify(shown) : "";
    },
    batch: async (lines) => lines.flatMap(run),
  };
  const clock = createFakeClock();
  const reconciler = createRouteReconciler({
    log: silentLogger,
    clock,
    signal: stop.signal,
    desired: () => state.desired,
    complete: () => state.complete,
    kernel,
  });
  return { state, table, clock, reconciler };
}

test("a change of the desired routes while the kernel is read removes no route", async (t) => {
  const { state, table, reconciler } = rig(t, ["10.11.1.0/24", "10.12.0.0/24"]);
  state.desired = routes("10.11.1.0/24");
  state.atList = () => {
    state.desired = routes("10.11.1.0/24", "10.12.0.0/24");
    state.complete = true;
  };
  reconciler.trigger();
  await settle();
  assert.deepEqual([...table], ["10.11.1.0/24", "10.12.0.0/24"]);
  assert.equal(reconciler.written, 0);
});

test("once all sources are in sync, a route that is not desired is removed", async (t) => {
  const { state, table, reconciler } = rig(t, ["10.11.1.0/24", "10.99.0.0/24"]);
  state.desired = routes("10.11.1.0/24");
  reconciler.trigger();
  await settle();
  assert.equal(table.size, 2);
  state.complete = true;
  reconciler.trigger();
  await settle();
  assert.deepEqual([...table], ["10.11.1.0/24"]);
});

test("a route that the kernel refuses is reported, does not block others, and is retried", async (t) => {
  const { state, table, clock, reconciler } = rig(t, ["10.99.0.0/24"]);
  state.desired = routes("10.11.1.0/24", "10.12.0.0/24");
  state.complete = true;
  state.refuse = "10.11.1.0/24";
  reconciler.trigger();
  await settle();
  assert.deepEqual([...table], ["10.12.0.0/24"]);
  assert.match(reconciler.problem ?? "", /10\.11\.1\.0/);
  state.refuse = "";
  await clock.advance(1000);
  await settle();
  assert.equal(table.size, 2);
  assert.equal(reconciler.problem, undefined);
});

test("a route that waits for a gateway is retried when the network changes, not only after its back-off", async (t) => {
  const { state, table, clock, reconciler } = rig(t, []);
  state.desired = routes("10.11.1.0/24");
  state.refuse = "10.11.1.0/24";
  reconciler.trigger();
  await settle();
  await clock.advance(60_000);
  state.refuse = "";
  assert.equal(reconciler.onEvents([{ kind: "link", gone: false, name: "eth0", up: true, turned: true }]), true);
  await settle();
  assert.equal(table.size, 1);
});

test("the kernel is read after changes that concern a route of the agent, and after no others", async (t) => {
  const { state, table, reconciler } = rig(t, []);
  state.desired = routes("10.11.1.0/24");
  reconciler.trigger();
  await settle();
  let lists = 0;
  state.atList = () => {
    lists++;
  };
  const route = (gone: boolean, protocol: number, cidr: string): RouteEvent => ({
    kind: "route",
    gone,
    protocol,
    prefix: parsePrefix(cidr),
  });
  const foreign: readonly RouteEvent[] = [
    route(true, 77, "10.55.0.0/24"),
    route(true, 3, "10.11.1.0/24"),
    route(false, 77, "10.11.1.0/24"),
    route(false, 3, "10.99.0.0/24"),
    { kind: "neighbour", gone: true, permanent: false, address: parseAddress("172.18.0.2") },
    { kind: "link", gone: false, name: "eth0", up: true, turned: false },
    { kind: "link", gone: false, name: hostDeviceName("c1", "eth0"), up: true, turned: true },
    { kind: "setting" },
  ];
  assert.equal(reconciler.onEvents(foreign), false);
  await settle();
  assert.equal(lists, 0);
  for (const event of [route(true, 77, "10.11.1.0/24"), route(false, 3, "10.11.1.0/24"), { kind: "lost" } as const]) {
    table.clear();
    assert.equal(reconciler.onEvents([event]), true);
    await settle();
    assert.deepEqual([...table], ["10.11.1.0/24"]);
  }
});

test("while a route is refused, many changes leave only one timer", async (t) => {
  const { state, clock, reconciler } = rig(t, []);
  state.desired = routes("10.11.1.0/24");
  state.refuse = "10.11.1.0/24";
  for (let i = 0; i < 100; i++) {
    reconciler.trigger();
    await settle();
  }
  assert.equal(clock.waiting, 1);
});
