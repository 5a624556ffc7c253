/** Which rows of mesh_nat may go, by what mesh_conntrack says of their flows. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Flow, FlowFlag } from "@isthmus/bpf";
import { makeNatRows } from "@isthmus/bpf/testing";
import { bytesKey, parseAddress } from "@isthmus/model";
import { createEndedRows, type FoundRows, type NatRows } from "./ended-rows.js";

const LIMITS = { closed: 60, unanswered: 128, idle: 20_480 };
const ENDS = { client: "10.1.0.1", first: "10.1.0.2", backend: "10.2.0.3", port: 80 };
const MOVED = { ...ENDS, clientPort: 40_000, wirePort: 61_000, isn: 7 };

const CLIENT = bytesKey(parseAddress(ENDS.client));

type Seen = Pick<Flow, "state" | "age"> & { readonly pickedUp?: boolean };

function setUp() {
  const { front, wire } = makeNatRows(MOVED);
  const flows = new Map<string, Seen>();
  const time = { now: 65_000 };
  const pods = new Set([CLIENT]);
  const ended = createEndedRows({
    findFlow(key) {
      const seen = flows.get(bytesKey(key));
      if (seen === undefined) return undefined;
      const { state, age, pickedUp } = seen;
      const flags = pickedUp === true ? FlowFlag.PickedUp : 0;
      const ends = { source: key, destination: key, sourcePort: 0, destinationPort: 0, protocol: 6 };
      return { ...ends, state, age, flags, answerFlags: FlowFlag.Nat };
    },
    flowTime: () => time.now & 0xffff,
    limits: LIMITS,
    isPod: (address) => pods.has(address),
  });

  function findAll(rows: NatRows): FoundRows {
    for (const work = ended.find(rows); ; ) {
      const step = work.next();
      if (step.done === true) return step.value;
    }
  }
  const find = (rows: NatRows) => [...findAll(rows).ended.keys()].sort();

  const rows = new Map([front, wire]);
  return {
    time,
    rows,
    front,
    wire,
    pods,
    find,
    findAll,
    /** True: both rows of the flow may go; undefined: its tuple has no row. */
    hasEnded(onWire: Seen | undefined, atPod: Seen | undefined): boolean {
      flows.clear();
      if (onWire !== undefined) flows.set(wire[0], onWire);
      if (atPod !== undefined) flows.set(front[0], atPod);
      const found = find(rows);
      assert.ok(found.length === 0 || found.length === 2, "both rows or none");
      return found.length === 2;
    },
  };
}

const closing = (age: number): Seen => ({ state: "closing", age });
const established = (age: number): Seen => ({ state: "established", age });
const unanswered = (age: number, pickedUp = false): Seen => ({ state: "unanswered", age, pickedUp });

test("a flow that closes keeps its rows while late segments may come", () => {
  const { hasEnded } = setUp();
  assert.equal(hasEnded(closing(60), closing(60)), false);
  assert.equal(hasEnded(closing(61), closing(61)), true);
  assert.equal(hasEnded(closing(61), established(61)), true, "a FIN that only one of the rows saw");
  assert.equal(hasEnded(closing(300), established(60)), false, "a packet that only one of the rows saw");
});

test("a late RST of the first backend, which the row at the pod counts, ends no flow", () => {
  const { hasEnded } = setUp();
  assert.equal(hasEnded(established(5000), closing(5000)), false);
  assert.equal(hasEnded(undefined, closing(5000)), false);
});

test("a flow that was never answered keeps them for 137 s, unless it is older than its row", () => {
  const { hasEnded } = setUp();
  assert.equal(hasEnded(unanswered(128), unanswered(128)), false);
  assert.equal(hasEnded(unanswered(129), unanswered(129)), true);
  assert.equal(hasEnded(unanswered(129, true), unanswered(129)), false);
  assert.equal(hasEnded(undefined, unanswered(129)), false, "what the wire's row would say is not known");
});

test("an established flow keeps them for six hours of silence, by either of its rows", () => {
  const { hasEnded } = setUp();
  assert.equal(hasEnded(established(20_480), established(20_480)), false);
  assert.equal(hasEnded({ state: "ended", age: 20_481 }, undefined), true);
  assert.equal(hasEnded({ state: "ended", age: 20_481 }, established(5)), false);
  assert.equal(hasEnded(undefined, established(20_480)), false);
  assert.equal(hasEnded(undefined, established(20_481)), true);
});

test("a flow without rows keeps them for six hours from when that was first seen", () => {
  const { time, hasEnded } = setUp();
  assert.equal(hasEnded(undefined, undefined), false);
  time.now += 20_480;
  assert.equal(hasEnded(undefined, undefined), false);
  time.now += 1;
  assert.equal(hasEnded(undefined, undefined), true);
});

test("a packet of it begins that time anew, and so does another agent", () => {
  const { time, hasEnded } = setUp();
  hasEnded(undefined, undefined);
  time.now += 20_000;
  assert.equal(hasEnded(undefined, established(0)), false);
  time.now += 10_000;
  assert.equal(hasEnded(undefined, undefined), false);
  time.now += 20_480;
  assert.equal(hasEnded(undefined, undefined), false);
  const next = setUp();
  next.time.now = time.now + 100;
  assert.equal(next.hasEnded(undefined, undefined), false);
  time.now += 100;
  assert.equal(hasEnded(undefined, undefined), true);
});

test("a flow that was closing when its rows went keeps them for as long as one that closes", () => {
  const { time, hasEnded } = setUp();
  assert.equal(hasEnded(closing(3), closing(3)), false);
  time.now += 5;
  assert.equal(hasEnded(undefined, undefined), false);
  time.now += 60;
  assert.equal(hasEnded(undefined, undefined), false);
  time.now += 1;
  assert.equal(hasEnded(undefined, undefined), true);
});

test("what was known of a flow is not said of the next one with its tuples", () => {
  const { time, rows, front, wire, hasEnded } = setUp();
  hasEnded(closing(3), closing(3));
  const next = makeNatRows({ ...MOVED, isn: 8 });
  rows.clear();
  for (const [key, value] of [next.front, next.wire]) rows.set(key, value);
  assert.deepEqual([...rows.keys()], [front[0], wire[0]]);
  assert.equal(hasEnded(undefined, undefined), false);
  time.now += 61;
  assert.equal(hasEnded(undefined, undefined), false);
});

test("a row without its other one may go when that was so twice in succession", () => {
  for (const end of ["front", "wire"] as const) {
    const { rows, find, [end]: row } = setUp();
    const alone = new Map([row]);
    assert.deepEqual(find(alone), []);
    assert.deepEqual(find(rows), [], "the other one came");
    assert.deepEqual(find(alone), []);
    assert.deepEqual(find(alone), [row[0]]);
  }
});

test("so may a row whose other one leads elsewhere, as after another move, and one with a wrong check", () => {
  const { rows, find, wire } = setUp();
  const moved = makeNatRows({ ...MOVED, backend: "10.2.0.4", wirePort: 61_001 });
  for (const [key, value] of [moved.front, moved.wire]) rows.set(key, value);
  assert.deepEqual(find(rows), []);
  assert.deepEqual(find(rows), [wire[0]], "of the move before");

  const broken = moved.front[1].slice();
  broken[0] = 1;
  rows.delete(wire[0]);
  rows.set(moved.front[0], broken);
  assert.deepEqual(find(rows), []);
  assert.deepEqual(find(rows), [moved.front[0], moved.wire[0]].sort());
});

test("a single row that was replaced meanwhile is another one", () => {
  const { find, front } = setUp();
  const next = makeNatRows({ ...MOVED, isn: 8 });
  assert.equal(next.front[0], front[0]);
  assert.deepEqual(find(new Map([front])), []);
  assert.deepEqual(find(new Map([next.front])), []);
  assert.deepEqual(find(new Map([next.front])), [front[0]]);
});

test("all rows of a client that is no pod any more may go at once, single ones too", () => {
  const { pods, rows, wire, findAll } = setUp();
  const other = makeNatRows({ ...MOVED, client: "10.1.0.9" });
  pods.add(bytesKey(parseAddress("10.1.0.9")));
  for (const [key, value] of [other.front, other.wire]) rows.set(key, value);
  assert.equal(findAll(rows).ended.size, 0);
  pods.delete(CLIENT);
  assert.deepEqual(new Set(findAll(rows).ended.keys()), new Set([...rows.keys()].slice(0, 2)));
  assert.deepEqual([...findAll(new Map([wire])).ended.keys()], [wire[0]]);
});

test("the flows that keep their rows are counted by client", () => {
  const { pods, rows, findAll, hasEnded } = setUp();
  const other = "10.1.0.9";
  pods.add(bytesKey(parseAddress(other)));
  for (let i = 1; i <= 3; i++) {
    const { front, wire } = makeNatRows({ ...MOVED, client: other, wirePort: 61_000 + i, clientPort: 40_000 + i });
    rows.set(...front).set(...wire);
  }
  assert.deepEqual(
    findAll(rows).living,
    new Map([
      [CLIENT, 1],
      [bytesKey(parseAddress(other)), 3],
    ]),
  );
  assert.equal(hasEnded(closing(61), closing(61)), true);
  assert.deepEqual([...findAll(rows).living.values()], [3], "without one that ended");
  rows.delete([...rows.keys()].at(-1) ?? "");
  assert.deepEqual([...findAll(rows).living.values()], [2], "and without one that has no other row");
});
