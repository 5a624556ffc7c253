/** Rows of an agent's maps to a reader. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Metadata, status } from "@grpc/grpc-js";
import { systemClock } from "@isthmus/model";
import { DumpRequest, MapColumnType, MapRows, MonitorState } from "@isthmus/proto";
import { LIMIT, startQueryRig, waitFor } from "./testing/query-rig.js";

const HEARD = MonitorState.MONITOR_STATE_HEARD;
const UNAVAILABLE = MonitorState.MONITOR_STATE_UNAVAILABLE;
const NUMBER = MapColumnType.MAP_COLUMN_TYPE_NUMBER;
const TEXT = MapColumnType.MAP_COLUMN_TYPE_TEXT;

/** A part of the rows; the last one has a summary. */
type Part = Parameters<typeof MapRows.fromPartial>[0];

async function setUp(t: TestContext) {
  const rig = await startQueryRig(t);
  return {
    ...rig,
    async agent(node: string) {
      const agent = await rig.agent(node);
      await waitFor(`the stream of ${node}`, () => rig.queries.has(node));
      return Object.assign(agent, {
        rows: (part: Part) =>
          agent.answer({ last: part.summary !== undefined, part: { $case: "rows", value: MapRows.fromPartial(part) } }),
        refuse: (problem: string) => agent.answer({ last: true, problem }),
        asked: () => waitFor("the query", () => agent.received.length > 0),
      });
    },
    read(node = "w1", limit = 1000) {
      const request = DumpRequest.fromPartial({ node, query: { map: "backends", limit } });
      const reader = rig.read((client) => client.dump(request, new Metadata()));
      const messages = () => reader.responses.map(({ message }) => message);
      return Object.assign(reader, {
        ends: () => waitFor("the end", () => reader.ended || reader.error !== undefined),
        nodes: () => messages().flatMap((is) => (is?.$case === "node" ? [[is.value.state, is.value.message]] : [])),
        rows: () => messages().flatMap((is) => (is?.$case === "rows" ? [is.value] : [])),
      });
    },
  };
}

const COLUMNS = [
  { name: "index", type: NUMBER },
  { name: "address", type: TEXT },
];
const rowsOf = (count: number) => Array.from({ length: count }, (_, i) => ({ cells: [String(i), "10.1.0.1"] }));

test("a reader gets the rows of one node's map, and the end after the summary", LIMIT, async (t) => {
  const rig = await setUp(t);
  const w1 = await rig.agent("w1");
  const reader = rig.read("w1", 5);
  await w1.asked();
  assert.deepEqual(rig.access.asked, ["monitor"]);
  assert.deepEqual(w1.received[0]?.message, {
    $case: "query",
    value: { credit: 4, query: { $case: "map", value: { map: "backends", limit: 5, sources: [] } } },
  });
  w1.rows({ columns: COLUMNS, rows: rowsOf(3) });
  await waitFor("the credit back", () => w1.cases().includes("credit"));
  w1.rows({ columns: COLUMNS, rows: rowsOf(2), summary: { more: 8, busy: 1, invalid: 2, ended: 3 } });
  await reader.ends();
  assert.deepEqual([reader.error, reader.nodes()], [undefined, [[HEARD, ""]]]);
  assert.deepEqual(
    reader.rows().map(({ rows, summary }) => [rows.length, summary?.more]),
    [
      [3, undefined],
      [2, 8],
    ],
  );
  assert.deepEqual(reader.rows()[0]?.columns, COLUMNS);
});

test("a node that is not connected, of an older version, or unknown is named as that", LIMIT, async (t) => {
  const rig = await setUp(t);
  for (const [node, state] of [
    ["w2", MonitorState.MONITOR_STATE_NO_QUERIES],
    ["w3", MonitorState.MONITOR_STATE_NOT_CONNECTED],
    ["w9", MonitorState.MONITOR_STATE_UNKNOWN],
  ] as const) {
    const reader = rig.read(node);
    await reader.ends();
    assert.deepEqual([reader.nodes(), reader.error], [[[state, ""]], undefined]);
  }
});

test("an agent that refuses, and one whose stream ends, are reported", LIMIT, async (t) => {
  const rig = await setUp(t);
  const first = await rig.agent("w1");
  const refused = rig.read();
  await first.asked();
  first.refuse("mode sockets\u001b[2J");
  await refused.ends();
  const [, [state, message] = []] = refused.nodes();
  assert.deepEqual([state, String(message).includes("\u001b")], [UNAVAILABLE, false]);
  const second = await rig.agent("w2");
  const broken = rig.read("w2");
  await second.asked();
  second.rows({ columns: COLUMNS, rows: rowsOf(1) });
  await waitFor("a row", () => broken.rows().length === 1);
  second.close();
  await broken.ends();
  assert.deepEqual(broken.nodes().at(-1), [MonitorState.MONITOR_STATE_NOT_CONNECTED, "its agent's stream ended"]);
});

test("what is not an answer to the query ends it: too many rows, no rows, cells without a column", LIMIT, async (t) => {
  const rig = await setUp(t);
  for (const [part, why] of [
    [{ columns: COLUMNS, rows: rowsOf(6) }, /more rows than the limit/],
    [{ columns: COLUMNS }, /a part without rows/],
    [{ columns: COLUMNS, rows: [{ cells: ["1"] }] }, /more or fewer cells than columns/],
  ] as const) {
    const agent = await rig.agent("w1");
    const reader = rig.read("w1", 5);
    await agent.asked();
    agent.rows(part as Part);
    await reader.ends();
    const [state, message] = reader.nodes().at(-1) ?? [];
    assert.equal(state, UNAVAILABLE);
    assert.match(String(message), why);
    await waitFor("the cancel", () => agent.cases().includes("cancel"));
    agent.close();
    await waitFor("no stream", () => !rig.queries.has("w1"));
  }
});

test("cells are made printable, and numbers that are none are empty", LIMIT, async (t) => {
  const rig = await setUp(t);
  const w1 = await rig.agent("w1");
  const reader = rig.read();
  await w1.asked();
  const columns = [...COLUMNS, { name: "a\u001b[31m", type: TEXT }];
  w1.rows({ columns, rows: [{ cells: ["1e9", "\u001b[2J", "\u202e"] }], summary: { more: 0 } });
  await reader.ends();
  const [part] = reader.rows();
  assert.equal(part?.rows[0]?.cells[0], "");
  const texts = [part?.rows[0]?.cells, part?.columns.map(({ name }) => name)].flat().join();
  assert.ok(texts.includes("address") && !texts.includes("\u001b") && !texts.includes("\u202e"), texts);
});

test(
  "an agent gets no credit while the reader takes nothing, and parts out of bounds end its stream",
  LIMIT,
  async (t) => {
    const rig = await setUp(t);
    const w1 = await rig.agent("w1");
    const reader = rig.read("w1", 100_000);
    await w1.asked();
    await waitFor("the state", () => reader.responses.length > 0);
    reader.pause();
    const credits = () => w1.cases().filter((is) => is === "credit").length;
    const long = Array.from({ length: 200 }, () => ({ cells: ["1", "x".repeat(500)] }));
    let sent = 0;
    // As an agent: a part for each credit, until no more comes.
    for (let idle = 0; idle < 10; ) {
      if (sent < 4 + credits()) {
        w1.rows({ columns: COLUMNS, rows: long });
        sent++;
        idle = 0;
      } else {
        idle++;
        await systemClock.delay(20);
      }
      assert.ok(sent < 490, "the reader's buffers are endless");
    }
    reader.resume();
    await waitFor("what was sent, and credit", () => reader.rows().length === sent && 4 + credits() > sent);
    w1.rows({ columns: COLUMNS, rows: rowsOf(257) });
    await waitFor("the end of the stream", () => w1.error?.code === status.INVALID_ARGUMENT);
    assert.match(w1.error?.details ?? "", /answer.rows.rows has more than 256 entries/);
  },
);

test("a reader that goes, and a server that is closed, cancel the query", LIMIT, async (t) => {
  const rig = await setUp(t);
  const w1 = await rig.agent("w1");
  const first = rig.read();
  await w1.asked();
  first.cancel();
  await waitFor("the cancel", () => w1.cases().includes("cancel"));
  const second = rig.read();
  await waitFor("the state", () => second.responses.length > 0);
  const began = performance.now();
  await rig.closeAdmin(10_000);
  assert.ok(performance.now() - began < 5000, "it does not wait for the reader");
  await second.ends();
  await waitFor("the cancel", () => w1.cases().filter((is) => is === "cancel").length === 2);
});

test("a caller without the right, a ninth at once, and a limit out of bounds are refused", LIMIT, async (t) => {
  const rig = await setUp(t);
  await rig.agent("w1");
  rig.access.refuse = status.PERMISSION_DENIED;
  const denied = rig.read();
  await denied.ends();
  assert.deepEqual([denied.error?.code, denied.responses], [status.PERMISSION_DENIED, []]);
  rig.access.refuse = undefined;
  for (const limit of [0, 100_001]) {
    const reader = rig.read("w1", limit);
    await reader.ends();
    assert.equal(reader.error?.code, status.INVALID_ARGUMENT);
  }
  const readers = Array.from({ length: 8 }, () => rig.read());
  await waitFor("all to be served", () => readers.every(({ responses }) => responses.length > 0));
  const ninth = rig.read();
  await ninth.ends();
  assert.equal(ninth.error?.code, status.RESOURCE_EXHAUSTED);
  readers[0]?.cancel();
  await waitFor("a place", async () => {
    const next = rig.read();
    await waitFor("an answer", () => next.responses.length > 0 || next.error !== undefined);
    return next.error === undefined;
  });
});
