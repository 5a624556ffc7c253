import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { RouteEvent } from "@isthmus/bpf";
import { formatAddress, formatPrefix, parseAddress, parsePrefix } from "@isthmus/model";
import { silentLogger } from "@isthmus/observe";
import { Node } from "@isthmus/proto";
import { createFakeClock, makeNode, settle } from "@isthmus/testing";
import { type NodeName, nodeName } from "../desired/nodes/nodes.js";
import { hostDeviceName } from "../pods/device-name.js";
import type { Route } from "./route.js";
import type { RouteKernel } from "./route-kernel.js";
import { createRouteReconciler } from "./route-reconciler.js";

const SELF = nodeName(1, "n1");
const VIA = "172.18.0.2";

/** `10.11.1.0/24`, with ` via …` for a gateway that is not `VIA`; or `unreachable 10.11.1.0/24`. */
function textOf({ prefix, via }: Route): string {
  if (via === undefined) return `unreachable ${formatPrefix(prefix)}`;
  const gateway = formatAddress(via);
  return `${formatPrefix(prefix)}${gateway === VIA ? "" : ` via ${gateway}`}`;
}

function routeOf(text: string): Route {
  const [cidr = "", via = VIA] = text.replace("unreachable ", "").split(" via ");
  return { prefix: parsePrefix(cidr), via: text.startsWith("unreachable") ? undefined : parseAddress(via) };
}

/** A kernel with these routes; `atRead` runs during a read, before its result is returned. */
function rig(t: TestContext, present: readonly string[]) {
  const state = { complete: false, atRead: () => {}, refuse: "", broken: false };
  const counts = { reads: 0, writes: 0, removes: 0 };
  const nodes = new Map<NodeName, Node>();
  /** Text by CIDR and kind. */
  const table = new Map(present.map((text) => [text.replace(/ via .*/, ""), text]));
  const stop = new AbortController();
  t.after(() => stop.abort());
  const each = (routes: readonly Route[], act: (text: string) => void) =>
    routes.map((route) => {
      const text = textOf(route);
      if (state.refuse !== "" && text.includes(state.refuse)) return new Error(`Cannot change ${text}: no`);
      act(text);
      return undefined;
    });
  const kernel: RouteKernel = {
    async read() {
      counts.reads++;
      const shown = [...table.values()].map(routeOf);
      await settle();
      state.atRead();
      return shown;
    },
    async write(routes) {
      if (state.broken) throw new Error("no socket");
      counts.writes += routes.length;
      return each(routes, (text) => table.set(text.replace(/ via .*/, ""), text));
    },
    async remove(routes) {
      counts.removes += routes.length;
      return each(routes, (text) => table.delete(text.replace(/ via .*/, "")));
    },
  };
  const clock = createFakeClock();
  const reconciler = createRouteReconciler({
    log: silentLogger,
    clock,
    signal: stop.signal,
    kernel,
    self: SELF,
    nodes: () => nodes,
    complete: () => state.complete,
  });
  /** Changes the records of nodes, named by CIDR; undefined = the node is gone. */
  function set(...specs: readonly (readonly [name: string, cidr: string | undefined, via?: string])[]): void {
    const names = specs.map(([name]) => nodeName(1, name));
    for (const [name, cidr, via = VIA] of specs) {
      if (cidr === undefined) nodes.delete(nodeName(1, name));
      else nodes.set(nodeName(1, name), Node.decode(makeNode(name, via, cidr).value));
    }
    reconciler.update(names);
  }
  /** Waits until no pass runs, after one more. */
  const passes = async () => {
    await settle();
    await reconciler.trigger();
  };
  const routes = () => [...table.values()];
  return { state, counts, table, routes, clock, reconciler, set, passes };
}

test("a change of the desired routes while the kernel is read removes no route", async (t) => {
  const { state, counts, routes, reconciler, set, passes } = rig(t, ["10.11.1.0/24", "10.12.0.0/24"]);
  state.atRead = () => {
    state.complete = true;
    set(["w1", "10.12.0.0/24"]);
  };
  set(["n2", "10.11.1.0/24"]);
  await passes();
  assert.deepEqual(routes(), ["10.11.1.0/24", "10.12.0.0/24"]);
  assert.deepEqual([reconciler.written, counts.writes, counts.removes], [0, 0, 0]);
});

test("routes of nodes that are not taken yet are not removed by a pass that begins after all sources are in sync", async (t) => {
  const { state, routes, reconciler, set, passes } = rig(t, ["10.11.1.0/24", "10.12.0.0/24"]);
  set(["n2", "10.11.1.0/24"]);
  await passes();
  // The source is in sync, but the names of its nodes come with the update that follows.
  state.complete = true;
  reconciler.onEvents([{ kind: "lost" }]);
  await passes();
  assert.deepEqual(routes(), ["10.11.1.0/24", "10.12.0.0/24"]);
  set(["w1", "10.12.0.0/24"]);
  await passes();
  assert.deepEqual(routes(), ["10.11.1.0/24", "10.12.0.0/24"]);
});

test("once all sources are in sync, a route that is not desired is removed", async (t) => {
  const { state, routes, reconciler, set, passes } = rig(t, ["10.11.1.0/24", "10.99.0.0/24"]);
  set(["n2", "10.11.1.0/24"]);
  await passes();
  assert.equal(routes().length, 2);
  state.complete = true;
  reconciler.update([]);
  await passes();
  assert.deepEqual(routes(), ["10.11.1.0/24"]);
});

test("missing routes are added, one with another gateway is replaced, and present ones are not written", async (t) => {
  const { routes, counts, set, passes } = rig(t, ["10.11.1.0/24", "10.12.0.0/24 via 172.18.0.9"]);
  set(["n1", "10.11.0.0/24"], ["n2", "10.11.1.0/24"], ["w1", "10.12.0.0/24", "172.19.0.1"]);
  await passes();
  assert.deepEqual(routes(), ["10.11.1.0/24", "10.12.0.0/24 via 172.19.0.1", "unreachable 10.11.0.0/24"]);
  assert.deepEqual(counts, { reads: 1, writes: 2, removes: 0 });
});

test("when the node's CIDR changes, the unreachable route moves, and the old CIDR is routed to its new node", async (t) => {
  const { routes, counts, set, passes } = rig(t, ["unreachable 10.11.0.0/24"]);
  set(["n1", "10.11.0.0/24"]);
  await passes();
  set(["n1", "10.11.7.0/24"], ["n2", "10.11.0.0/24"]);
  await passes();
  assert.deepEqual(routes().sort(), ["10.11.0.0/24", "unreachable 10.11.7.0/24"]);
  assert.deepEqual(counts, { reads: 1, writes: 2, removes: 1 });
});

test("a route that is not desired stays until all sources are in sync, unless it was desired before", async (t) => {
  const { routes, set, passes } = rig(t, ["10.98.0.0/24", "10.99.0.0/24"]);
  set(["w1", "10.98.0.0/24"]);
  await passes();
  set(["w1", undefined]);
  await passes();
  assert.deepEqual(routes(), ["10.99.0.0/24"]);
});

test("a changed node costs requests for its own routes, whatever the number of nodes", async (t) => {
  const { counts, set, passes } = rig(t, []);
  set(...Array.from({ length: 3000 }, (_, i) => [`n${i + 2}`, `10.${i >> 8}.${i & 255}.0/24`] as const));
  await passes();
  assert.deepEqual(counts, { reads: 1, writes: 3000, removes: 0 });
  set(["n500", "10.200.0.0/24"]);
  await passes();
  assert.deepEqual(counts, { reads: 1, writes: 3001, removes: 1 });
});

test("a changed node does not retry the routes of others that the kernel refused", async (t) => {
  const { state, counts, reconciler, set, passes } = rig(t, []);
  state.refuse = "10.11";
  set(...Array.from({ length: 20 }, (_, i) => [`n${i + 2}`, `10.11.${i}.0/24`] as const));
  await passes();
  assert.match(reconciler.problem ?? "", /^Cannot change 10\.11\.0\.0\/24: no, and 19 more$/);
  set(["w1", "10.12.0.0/24"]);
  await passes();
  assert.equal(counts.writes, 21);
  assert.match(reconciler.problem ?? "", /and 19 more$/);
});

test("changes that could not be sent are sent again", async (t) => {
  const { state, routes, clock, set, passes } = rig(t, []);
  state.broken = true;
  set(["n2", "10.11.1.0/24"]);
  await passes();
  assert.deepEqual(routes(), []);
  state.broken = false;
  await clock.advance(1000);
  await passes();
  assert.deepEqual(routes(), ["10.11.1.0/24"]);
});

test("a route that the kernel refuses is reported, does not block others, and is retried", async (t) => {
  const { state, routes, clock, reconciler, set, passes } = rig(t, ["10.99.0.0/24"]);
  state.complete = true;
  state.refuse = "10.11.1.0/24";
  set(["n2", "10.11.1.0/24"], ["w1", "10.12.0.0/24"]);
  await passes();
  assert.deepEqual(routes(), ["10.12.0.0/24"]);
  assert.match(reconciler.problem ?? "", /10\.11\.1\.0/);
  state.refuse = "";
  await clock.advance(1000);
  await passes();
  assert.equal(routes().length, 2);
  assert.equal(reconciler.problem, undefined);
});

test("a refused route is retried in time also while nodes change all the time", async (t) => {
  const { state, routes, clock, set, passes } = rig(t, []);
  state.refuse = "10.11.1.0/24";
  set(["n2", "10.11.1.0/24"]);
  await passes();
  state.refuse = "";
  for (let i = 0; i < 20; i++) {
    await clock.advance(100);
    set(["w1", `10.12.${i}.0/24`]);
    await passes();
  }
  assert.ok(routes().includes("10.11.1.0/24"));
});

test("a route that waits for a gateway is retried when the network changes, not only after its back-off", async (t) => {
  const { state, counts, routes, clock, reconciler, set, passes } = rig(t, []);
  const changes: readonly RouteEvent[] = [
    { kind: "link", gone: false, name: "eth0", up: true, turned: true },
    { kind: "address", gone: false, linkLocal: false },
    {
      kind: "route",
      gone: false,
      replaces: false,
      unreachable: false,
      protocol: 2,
      prefix: parsePrefix("172.18.0.0/24"),
    },
  ];
  for (const [i, change] of changes.entries()) {
    const cidr = `10.11.${i}.0/24`;
    state.refuse = cidr;
    set([`n${i + 2}`, cidr]);
    await passes();
    await clock.advance(60_000);
    await passes();
    state.refuse = "";
    const { reads } = counts;
    assert.equal(reconciler.onEvents([change]), true);
    await passes();
    assert.equal(routes().length, i + 1);
    assert.equal(counts.reads, reads + (change.kind === "link" ? 1 : 0));
  }
});

test("a lost route is written again without a read; the kernel is read when it may have removed routes without an event", async (t) => {
  const { counts, table, reconciler, set, passes } = rig(t, []);
  set(["n1", "10.11.0.0/24"], ["n2", "10.11.1.0/24"]);
  await passes();
  type Route = Extract<RouteEvent, { kind: "route" }>;
  const route = (gone: boolean, protocol: number, cidr: string, rest: Partial<Route> = {}): Route => ({
    kind: "route",
    gone,
    replaces: false,
    unreachable: false,
    protocol,
    prefix: parsePrefix(cidr),
    ...rest,
  });
  const foreign: readonly RouteEvent[] = [
    route(true, 77, "10.55.0.0/24"),
    route(true, 77, "10.11.1.0/24", { unreachable: true }),
    route(true, 3, "10.11.1.0/24"),
    route(false, 77, "10.11.1.0/24", { replaces: true }),
    route(false, 3, "10.11.1.0/24"),
    route(false, 3, "10.99.0.0/24", { replaces: true }),
    { kind: "neighbour", gone: true, permanent: false, address: parseAddress("172.18.0.2") },
    { kind: "link", gone: false, name: "eth0", up: true, turned: false },
    { kind: "link", gone: false, name: hostDeviceName("c1", "eth0"), up: true, turned: true },
    { kind: "address", gone: false, linkLocal: false },
    { kind: "address", gone: true, linkLocal: true },
    { kind: "setting" },
  ];
  assert.equal(reconciler.onEvents(foreign), false);
  await passes();
  assert.deepEqual(counts, { reads: 1, writes: 2, removes: 0 });
  const losses: readonly (readonly [key: string, event: RouteEvent])[] = [
    ["10.11.1.0/24", route(true, 77, "10.11.1.0/24")],
    ["10.11.1.0/24", route(false, 3, "10.11.1.0/24", { replaces: true })],
    ["unreachable 10.11.0.0/24", route(true, 77, "10.11.0.0/24", { unreachable: true })],
  ];
  for (const [key, event] of losses) {
    table.delete(key);
    assert.equal(reconciler.onEvents([event]), true);
    await passes();
    assert.equal(table.size, 2);
  }
  assert.deepEqual(counts, { reads: 1, writes: 5, removes: 0 });
  const silent: readonly RouteEvent[] = [
    { kind: "lost" },
    { kind: "address", gone: true, linkLocal: false },
    { kind: "link", gone: false, name: "eth0", up: false, turned: true },
    { kind: "link", gone: true, name: "eth0", up: false, turned: false },
  ];
  for (const event of silent) {
    table.clear();
    assert.equal(reconciler.onEvents([event]), true);
    await passes();
    assert.equal(table.size, 2);
  }
  assert.deepEqual(counts, { reads: 5, writes: 13, removes: 0 });
});

test("while a route is refused, many changes leave only one timer", async (t) => {
  const { state, clock, reconciler, set, passes } = rig(t, []);
  state.refuse = "10.11.1.0/24";
  set(["n2", "10.11.1.0/24"]);
  await passes();
  for (let i = 0; i < 100; i++) {
    void reconciler.trigger();
    await settle();
  }
  assert.equal(clock.waiting, 1);
});
