/** Flows in their order, with what is left out. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  FlowBody,
  FlowFlag,
  FlowGen,
  FlowKey,
  FlowRow,
  FlowSent,
  FlowWord,
  flowBodyCheck,
  flowRowCheck,
  Limit,
} from "@isthmus/bpf";
import { parseAddress } from "@isthmus/model";
import { createMemoryKernel } from "@isthmus/testing";
import { createPodNames } from "../events/pod-names.js";
import { makeServiceNames } from "../events/testing/service-names.js";
import { createMapQueries } from "./map-queries.js";
import { readRows } from "./testing/read-rows.js";

const SEED = 0x1234_5678_9abc_def1n;
/** Now, in units of `seen`; the counter has wrapped around. */
const NOW = 70_000;
const A = parseAddress("10.1.0.1");
const B = parseAddress("10.2.0.9");
const { Syn, Data, Fin, Rst } = FlowSent;

interface TestFlow {
  readonly age: number;
  readonly port?: number;
  readonly proto?: number;
  /** End a began it. */
  readonly fromA?: boolean;
  readonly sent?: readonly [a: number, b: number];
  readonly flags?: number;
  readonly gen?: number;
  readonly damage?: boolean;
  /** What its pod dialled, as the body beside its row has it. */
  readonly vip?: string;
  readonly vipPort?: number;
}

function rowOf(flow: TestFlow): Uint8Array {
  const { age, port = 40_000, proto = 6, fromA = true, sent = [Data, Data], flags = 0, gen = 9, damage } = flow;
  const key = { a: A, b: B, pa: port, pb: 80, proto, space: 0 };
  const check = flowRowCheck(FlowKey.encode(key), gen, SEED) ^ (damage === true ? 1 : 0);
  const word = (began: boolean) => FlowWord.toWord({ rev: 0, check, flags: flags | (began ? FlowFlag.Initiator : 0) });
  const seen = (NOW - age) & 0xffff;
  return FlowRow.encode({ word: [word(fromA), word(!fromA)], key, gen, seen, sent: Uint8Array.from(sent) });
}

/** Of a flow with this row. */
function bodyOf({ vip, vipPort = 80 }: TestFlow, row: Uint8Array): Uint8Array {
  if (vip === undefined) return new Uint8Array(FlowBody.size);
  const fields = { vip: parseAddress(vip), vipPort, proxyPort: 0, service: 7, backend: 3, isn: 9, identity: [] };
  const check = flowBodyCheck(row, FlowBody.encode({ ...fields, check: 0n }), SEED);
  return FlowBody.encode({ ...fields, check });
}

/** A table of `sets` sets; the flows are spread over it. `onRead`: before each read of rows, `onReadBodies` of bodies. */
function setUp(
  flows: readonly TestFlow[],
  { sets = 100, onRead = (_table: Uint8Array) => {}, onReadBodies = (_bodies: Uint8Array) => {} } = {},
) {
  const [table, bodies] = [FlowRow, FlowBody].map(({ size }) => new Uint8Array(sets * Limit.FlowSet * size));
  assert.ok(table && bodies);
  for (const [i, flow] of flows.entries()) {
    const [row, place] = [rowOf(flow), (i * 37) % (sets * Limit.FlowSet)];
    table.set(row, place * FlowRow.size);
    bodies.set(bodyOf(flow, row), place * FlowBody.size);
  }
  const readSets = (bytes: Uint8Array, size: number) => (set: number, count: number) =>
    bytes.slice(set * size, (set + count) * size);
  const [rowSets, bodySets] = [
    readSets(table, Limit.FlowSet * FlowRow.size),
    readSets(bodies, Limit.FlowSet * FlowBody.size),
  ];
  const read = (set: number, count = 1) => {
    onRead(table);
    return rowSets(set, count);
  };
  const readBodies = (set: number, count = 1) => {
    onReadBodies(bodies);
    return bodySets(set, count);
  };
  const pods = createPodNames();
  pods.set(11, { namespace: "shop", name: "cart", addresses: [A] });
  const memory = createMemoryKernel().open();
  const none = { endpointIndex: undefined, endpoints: undefined, podRanges: undefined, policy: memory.policy };
  const packets = { ...none, flows: { read, readBodies, maxEntries: sets, seed: SEED } } as never;
  const port = { ...memory, packets };
  return createMapQueries({
    ...{ port, pods, services: makeServiceNames().services, monotonicNs: () => BigInt(NOW) << 30n },
  });
}

const ask = (flows: readonly TestFlow[], query: { limit?: number; sources?: Buffer[] } = {}) =>
  readRows(setUp(flows), { map: "conntrack", ...query });

const NO_SERVICE = { vip: "", "vip-port": "", service: "" };

test("a flow is shown from the end that began it, with its state, age and flags", async () => {
  const { rows } = await ask([
    { age: 0, flags: FlowFlag.ViaStack | FlowFlag.PickedUp },
    { age: 100, fromA: false, sent: [0, Syn] },
  ]);
  assert.deepEqual(rows, [
    {
      ...{ source: "10.1.0.1", "source-port": "40000", "source-pod": "shop/cart" },
      ...{ destination: "10.2.0.9", "destination-port": "80", "destination-pod": "", ...NO_SERVICE },
      ...{ protocol: "TCP", state: "established", "age-s": "0" },
      ...{ flags: "via_stack,picked_up", "answer-flags": "via_stack,picked_up" },
    },
    {
      ...{ source: "10.2.0.9", "source-port": "80", "source-pod": "" },
      ...{ destination: "10.1.0.1", "destination-port": "40000", "destination-pod": "shop/cart", ...NO_SERVICE },
      ...{ protocol: "TCP", state: "unanswered", "age-s": "107", flags: "", "answer-flags": "" },
    },
  ]);
});

const DIALLED = { age: 0, vip: "10.96.0.10", flags: FlowFlag.Service };
const service = (row: Readonly<Record<string, string>> | undefined) =>
  row && [row["vip"], row["vip-port"], row["service"], row["flags"], row["answer-flags"]];

test("a flow has the Service that its pod dialled, by name where one has the address", async () => {
  const { rows } = await ask([DIALLED, { ...DIALLED, age: 1, vipPort: 81 }]);
  assert.deepEqual(rows.map(service), [
    ["10.96.0.10", "80", "shop/web", "", ""],
    ["10.96.0.10", "81", "", "", ""],
  ]);
});

test("a body of another flow is not believed, and the flow has the flag that says so", async () => {
  for (const damage of [FlowBody.offsets.vip + 15, FlowBody.offsets.check]) {
    const maps = setUp([DIALLED], { onReadBodies: (bodies) => (bodies[damage] = (bodies[damage] ?? 0) ^ 1) });
    const { rows, summary } = await readRows(maps, { map: "conntrack" });
    assert.deepEqual(rows.map(service), [["", "", "", "service", "service"]]);
    assert.deepEqual(summary, { more: 0, busy: 0, invalid: 0, ended: 0 });
  }
  const later = setUp([{ ...DIALLED, gen: 9 }], {
    onReadBodies: (bodies) => bodies.set(bodyOf(DIALLED, rowOf({ ...DIALLED, gen: 10 }))),
  });
  assert.deepEqual((await readRows(later, { map: "conntrack" })).rows.map(service), [
    ["", "", "", "service", "service"],
  ]);
});

test("bodies are read of the rows that are shown, and only of flows to Services", async () => {
  let reads = 0;
  const flows = [DIALLED, { age: 1 }, ...Array.from({ length: 98 }, (_, i) => ({ ...DIALLED, age: 2 + i, port: i }))];
  const { rows } = await readRows(setUp(flows, { onReadBodies: () => reads++ }), { map: "conntrack", limit: 10 });
  assert.deepEqual([rows.length, reads], [10, 9]);
});

test("states are those of the programs", async () => {
  const states: readonly (readonly [string, TestFlow])[] = [
    ["unanswered", { age: 1, sent: [Syn, 0] }],
    ["unanswered", { age: 2, sent: [Syn, Syn] }],
    ["established", { age: 3, sent: [Syn | Data, Syn] }],
    ["established", { age: 4, sent: [Syn | Data | Fin, Syn | Data] }],
    ["closing", { age: 5, sent: [Data | Fin, Data | Fin] }],
    ["closing", { age: 6, sent: [Syn, Rst] }],
    ["established", { age: 7, proto: 17, sent: [Data, Data] }],
    ["unanswered", { age: 8, proto: 17, sent: [Data, 0] }],
    ["established", { age: 20_480 }],
  ];
  const { rows, summary } = await ask([
    ...states.map(([, flow]) => flow),
    { age: 129, proto: 17 },
    { age: 20_481 },
    { age: 9, gen: FlowGen.Busy },
    { age: 9, damage: true },
  ]);
  assert.deepEqual(
    rows.map(({ state }) => state),
    states.map(([state]) => state),
  );
  assert.deepEqual(summary, { more: 0, busy: 1, invalid: 1, ended: 2 });
});

test("the latest come first, as many as the limit allows; the others are counted", async () => {
  const ages = Array.from({ length: 300 }, (_, i) => (i * 7919) % 100);
  const { rows, summary } = await ask(
    ages.map((age, i) => ({ age, port: i })),
    { limit: 250 },
  );
  const seconds = [...ages].sort((a, b) => a - b).map((age) => String(Math.round((age * 2 ** 30) / 1e9)));
  assert.deepEqual(
    rows.map((row) => row["age-s"]),
    seconds.slice(0, 250),
  );
  assert.equal(new Set(rows.map((row) => row["source-port"])).size, 250);
  assert.equal(summary?.more, 50);
});

test("only the flows that an address began are shown", async () => {
  const flows = [{ age: 1 }, { age: 2, fromA: false }, { age: 3 }];
  const { rows } = await ask(flows, { sources: [Buffer.from(B)] });
  assert.deepEqual(
    rows.map(({ source }) => source),
    ["10.2.0.9"],
  );
  assert.equal((await ask(flows, { sources: [Buffer.from(A), Buffer.from(B)] })).rows.length, 3);
});

test("a row that has become another flow's before it is shown is left out and counted", async () => {
  let reads = 0;
  const maps = setUp([{ age: 1 }, { age: 2, port: 7 }], {
    sets: 64,
    onRead(table) {
      // The first read is that of all sets, the second the row of the first flow.
      if (++reads === 2) table.fill(0, 0, FlowRow.size);
    },
  });
  const { rows, summary } = await readRows(maps, { map: "conntrack" });
  assert.deepEqual(
    rows.map((row) => row["source-port"]),
    ["7"],
  );
  assert.equal(summary?.busy, 1);
});
