/** When the rows of mesh_nat are looked at, and the word that tells programs to look them up. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { EndpointRow, FlowRow, Limit, NatStateRow } from "@isthmus/bpf";
import { makeNatRows } from "@isthmus/bpf/testing";
import { bytesKey, parseAddress } from "@isthmus/model";
import { silentLogger } from "@isthmus/observe";
import type { BatchResult } from "@isthmus/reconcile";
import { createFakeClock, until } from "@isthmus/testing";
import { collectNatRows } from "./nat-rows.js";

const ENDS = { client: "10.1.0.1", first: "10.1.0.2", backend: "10.2.0.3", port: 80 };
const IDLE = 10;

/** A map of which programs keep no flow: rows may go `IDLE` units after the first round. */
function setUp(t: TestContext, { used = 0, flows = 0, moved = 0 } = {}) {
  const rows = new Map<string, Uint8Array>();
  const counts = { loads: 0, deletions: 0 };
  const time = { units: 70_000n };
  const state = NatStateRow.encode({ used });
  const hooks = {
    stored: (_value: number): void => undefined,
    error: undefined as Error | undefined,
    loading: () => {},
    loaded: () => {},
  };
  const warnings: unknown[] = [];
  const pods = new Map([[bytesKey(parseAddress(ENDS.client)), 1]]);
  const endpoint = { ...EndpointRow.decode(new Uint8Array(EndpointRow.size)), moved, movesEnded: 0 };
  const [clock, stop] = [createFakeClock(), new AbortController()];
  t.after(() => stop.abort());

  function move(clientPort: number): void {
    const { front, wire } = makeNatRows({ ...ENDS, clientPort, wirePort: 61_000 + clientPort, isn: clientPort });
    rows.set(...wire).set(...front);
    endpoint.moved++;
  }

  async function deleteUnchanged(entries: ReadonlyMap<string, Uint8Array>): Promise<BatchResult> {
    counts.deletions++;
    const { error } = hooks;
    if (error !== undefined)
      return { done: new Set(), failed: new Map([...entries.keys()].map((key) => [key, error])) };
    for (const key of entries.keys()) rows.delete(key);
    return { done: new Set(entries.keys()), failed: new Map() };
  }

  for (let port = 1; port <= flows; port++) move(port);
  const path = {
    nat: {
      async load() {
        counts.loads++;
        hooks.loading();
        const loaded = new Map(rows);
        hooks.loaded();
        return loaded;
      },
      deleteUnchanged,
    },
    natState: {
      read: () => state.slice(),
      storeWord32(index: number, offset: number, value: number) {
        assert.deepEqual([index, offset], [0, NatStateRow.offsets.used]);
        state[0] = value;
        hooks.stored(value);
      },
    },
    flows: { maxEntries: 1, seed: 7n, read: () => new Uint8Array(Limit.FlowSet * FlowRow.size) },
    endpoints: {
      read: () => EndpointRow.encode(endpoint),
      storeWord32(index: number, offset: number, value: number) {
        assert.deepEqual([index, offset], [1, EndpointRow.offsets.movesEnded]);
        endpoint.movesEnded = value;
      },
    },
  };
  const collector = collectNatRows({
    path,
    pods,
    monotonicNs: () => time.units << 30n,
    limits: { closed: IDLE, unanswered: IDLE, idle: IDLE },
    clock,
    log: { ...silentLogger, warn: (_message, fields) => void warnings.push(fields) },
    signal: stop.signal,
  });
  const roundEnds = () => until("the round ends", () => clock.waiting === 1);

  return {
    ...{ rows, counts, time, hooks, warnings, collector, pods, endpoint, move, stop, roundEnds, clock },
    used: () => state[0],
    async round(): Promise<void> {
      await clock.advance(5000);
      await roundEnds();
    },
  };
}

test("rows of flows that ended are deleted, and then programs are told that there are none", async (t) => {
  const node = setUp(t, { used: 1, flows: 3 });
  await node.roundEnds();
  assert.deepEqual([node.collector.used, node.counts.deletions], [6, 0]);
  node.time.units += 11n;
  node.move(4);
  await node.round();
  assert.deepEqual([node.rows.size, node.collector.used, node.used()], [2, 2, 1], "that of a flow that is new stays");
  node.time.units += 11n;
  await node.round();
  assert.deepEqual([node.rows.size, node.collector.used], [0, 0]);
  await node.round();
  assert.equal(node.used(), 0);
});

test("after the first round the map is read only while it may have rows", async (t) => {
  const node = setUp(t);
  await node.roundEnds();
  const { loads } = node.counts;
  assert.ok(loads >= 1);
  await node.round();
  assert.equal(node.counts.loads, loads);
});

test("a row that programs insert while the word is set to 0 sets it to 1 again", async (t) => {
  const node = setUp(t, { used: 1 });
  node.hooks.stored = (value) => {
    // The program stored its 1 before: only the second look at the map finds its rows.
    if (value === 0) node.move(1);
  };
  await node.roundEnds();
  assert.deepEqual([node.used(), node.collector.used], [1, 2]);
});

test("an agent that died in between left 0 with rows: the next one stores 1", async (t) => {
  const node = setUp(t, { used: 0, flows: 1 });
  await node.roundEnds();
  assert.deepEqual([node.used(), node.rows.size], [1, 2]);
});

test("a failed deletion is reported once, and tried again", async (t) => {
  const node = setUp(t, { used: 1, flows: 2 });
  await node.roundEnds();
  node.time.units += 11n;
  node.hooks.error = new Error("no memory");
  await node.round();
  await node.round();
  assert.deepEqual([node.warnings, node.rows.size], [[{ reason: "no memory" }], 4]);
  node.hooks.error = undefined;
  await node.round();
  assert.deepEqual([node.warnings.length, node.rows.size], [1, 0]);
});

test("nothing is read after the agent's end", async (t) => {
  const node = setUp(t, { used: 1, flows: 1 });
  await node.roundEnds();
  const { loads } = node.counts;
  node.stop.abort();
  await node.clock.advance(60_000);
  assert.deepEqual([node.counts.loads, node.clock.waiting], [loads, 0]);
});

test("the agent stores for programs how many moved connects have no rows any more", async (t) => {
  const node = setUp(t, { used: 1, flows: 3 });
  const { endpoint } = node;
  await node.roundEnds();
  assert.equal(endpoint.movesEnded, 0);
  node.time.units += 11n;
  node.move(4);
  node.hooks.loading = () => node.move(5);
  await node.round();
  assert.deepEqual([endpoint.moved, endpoint.movesEnded], [5, 2], "what is moved meanwhile counts twice");
  node.hooks.loading = () => undefined;
  await node.round();
  assert.equal(endpoint.movesEnded, 3);
  node.time.units += 22n;
  await node.round();
  await node.round();
  assert.deepEqual([node.used(), endpoint.movesEnded], [0, 5]);
});

test("a count that is wrong is put right, also when the map is empty", async (t) => {
  const node = setUp(t, { used: 1, moved: 2 ** 32 - 1 });
  await node.roundEnds();
  assert.equal(node.endpoint.movesEnded, 2 ** 32 - 1);
});

test("the row of an address whose pod came anew during a round keeps the count that it begins with", async (t) => {
  const node = setUp(t, { used: 1, flows: 3, moved: 5 });
  const { endpoint, hooks, pods } = node;
  await node.roundEnds();
  assert.deepEqual([endpoint.moved, endpoint.movesEnded], [8, 5]);
  hooks.loading = () => Object.assign(endpoint, { moved: 0, movesEnded: 0 });
  await node.round();
  assert.equal(endpoint.movesEnded, 0, "with the same row");
  endpoint.moved = 9;
  hooks.loading = () => pods.clear();
  await node.round();
  assert.equal(endpoint.movesEnded, 0, "with another one");
});

test("rows of a pod that is gone are deleted in a round that begins at once", async (t) => {
  const node = setUp(t, { used: 1, flows: 2 });
  await node.roundEnds();
  node.pods.clear();
  await node.collector.runRound();
  assert.equal(node.rows.size, 0);
});

test("or behind the round under way, and in none after the agent's end", async (t) => {
  const node = setUp(t, { used: 1, flows: 1 });
  await node.roundEnds();
  node.pods.clear();
  let ended: Promise<void> | undefined;
  node.hooks.loaded = () => {
    if (ended !== undefined) return;
    node.move(2);
    ended = node.collector.runRound();
  };
  await node.collector.runRound();
  await ended;
  assert.equal(node.rows.size, 0);
  node.move(3);
  node.stop.abort();
  await node.collector.runRound();
  assert.equal(node.rows.size, 2);
});
