import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress, parsePrefix } from "@isthmus/model";
import { type Route, routeKey } from "./route.js";
import { createRouteTable, type RouteTable } from "./route-table.js";

const CIDR = parsePrefix("10.11.1.0/24");
const VIA: Route = { prefix: CIDR, via: parseAddress("172.18.0.2") };
const OTHER: Route = { prefix: CIDR, via: parseAddress("172.18.0.3") };
const UNREACHABLE: Route = { prefix: CIDR, via: undefined };

/** A table in which this route is desired and installed. */
function installed(route: Route): RouteTable {
  const table = createRouteTable();
  table.setDesired(CIDR, route);
  accept(table);
  return table;
}

/** What is due, as the kernel that takes everything was asked for it. */
function accept(table: RouteTable, everything = false, allKnown = false) {
  const due = table.takeDue(everything, allKnown);
  for (const key of due.write) table.wrote(key, table.toWrite(key), undefined);
  for (const key of due.remove) table.removed(key, undefined);
  return { write: due.write.length, remove: due.remove.length };
}

test("a route is written once, and again when it is another one or lost", () => {
  const table = createRouteTable();
  table.setDesired(CIDR, VIA);
  assert.deepEqual(table.takeDue(false, false), { write: [routeKey(VIA)], remove: [] });
  table.wrote(routeKey(VIA), VIA, undefined);
  table.setDesired(CIDR, VIA);
  assert.deepEqual(accept(table), { write: 0, remove: 0 });
  table.setDesired(CIDR, OTHER);
  assert.deepEqual(table.toWrite(routeKey(OTHER)), OTHER);
  assert.deepEqual(accept(table), { write: 1, remove: 0 });
  assert.equal(table.lose([routeKey(OTHER)]), 1);
  assert.deepEqual(accept(table), { write: 1, remove: 0 });
});

test("the other kind of a CIDR's route is removed once it was desired here", () => {
  const table = installed(VIA);
  table.setDesired(CIDR, UNREACHABLE);
  assert.deepEqual(accept(table), { write: 1, remove: 1 });
  table.setDesired(CIDR, undefined);
  assert.deepEqual(accept(table), { write: 0, remove: 1 });
});

test("a route that was never desired here stays until all nodes are known", () => {
  const table = createRouteTable();
  table.setActual(VIA);
  assert.deepEqual(accept(table, true, false), { write: 0, remove: 0 });
  assert.deepEqual(accept(table, true, true), { write: 0, remove: 1 });
});

test("a refused route stays due with everything, not with what changed", () => {
  const table = createRouteTable();
  table.setDesired(CIDR, VIA);
  for (const key of table.takeDue(false, false).write) table.wrote(key, VIA, new Error("no"));
  assert.deepEqual([...table.refused.keys()], [routeKey(VIA)]);
  assert.deepEqual(table.takeDue(false, false).write, []);
  assert.deepEqual(accept(table, true), { write: 1, remove: 0 });
  assert.equal(table.refused.size, 0);
});

test("what a read does not show is lost; a lost route that is not desired is forgotten", () => {
  const table = installed(VIA);
  table.setDesired(CIDR, undefined);
  assert.equal(table.retainActual(new Set()), 0);
  assert.deepEqual(accept(table, true, true), { write: 0, remove: 0 });
});
