/** Rows of an agent's maps to a reader, over real gRPC on both sides. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type ClientDuplexStream, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { systemClock } from "@isthmus/model";
import { silentLogger } from "@isthmus/observe";
import {
  AdminClient,
  type AgentMessage,
  DumpRequest,
  type DumpResponse,
  MapColumnType,
  MapRows,
  MonitorState,
  type QueryMessage,
  StatusResponse,
} from "@isthmus/proto";
import { waitFor as waitWithin } from "@isthmus/runtime";
import { createFakeSources } from "../../testing/fake-source.js";
import { createMeshTls, type MeshTls } from "../../testing/mesh-tls.js";
import { serveStream } from "../../testing/serve-stream.js";
import { watchTlsFiles } from "../grpc/tls-files.js";
import type { AdminAuth } from "./admin-auth.js";
import { adminError } from "./admin-error.js";
import { startAdminServer } from "./admin-server.js";

const waitFor = (what: string, check: () => boolean | Promise<boolean>) =>
  waitWithin(what, check, { timeoutMs: 20_000 });
const LIMIT = { timeout: 60_000 };
const HEARD = MonitorState.MONITOR_STATE_HEARD;
const UNAVAILABLE = MonitorState.MONITOR_STATE_UNAVAILABLE;
const NUMBER = MapColumnType.MAP_COLUMN_TYPE_NUMBER;
const TEXT = MapColumnType.MAP_COLUMN_TYPE_TEXT;

/** A server of agents and one of the admin API, over the same queries. Nodes: w1 and w2 connected, w3 not. */
async function setUp(t: TestContext) {
  const tls = await createMeshTls();
  const { port, queries } = await serveStream({ after: (work) => t.after(work) }, tls);
  const files = watchTlsFiles(tls.folder, silentLogger);
  const access = { refuse: undefined as status | undefined, asked: [] as string[] };
  const auth: AdminAuth = {
    async check(_, right) {
      access.asked.push(right);
      if (access.refuse !== undefined) throw adminError(access.refuse, "not you");
    },
    close: () => undefined,
  };
  const nodes = ["w1", "w2", "w3"].map((node) => ({ node, connected: node !== "w3" }));
  const admin = await startAdminServer(
    { address: "127.0.0.1:0", clusterId: 1 },
    {
      ...{ auth, tls: files, log: silentLogger, clock: systemClock, sources: createFakeSources() },
      status: () => StatusResponse.create(),
      monitor: { queries, nodes: () => nodes },
    },
  );
  t.after(async () => {
    await admin.close(100);
    files.close();
    tls.remove();
  });
  return {
    ...{ queries, access },
    closeAdmin: (graceMs: number) => admin.close(graceMs),
    agent: async (node: string) => {
      const agent = await connectAgent(t, port, tls, node);
      await waitFor(`the stream of ${node}`, () => queries.has(node));
      return agent;
    },
    read: (node = "w1", limit = 1000) => read(t, admin.port, tls, node, limit),
  };
}

async function connectAgent(t: TestContext, port: number, tls: MeshTls, node: string) {
  const pair = await tls.node(node);
  const secrets = credentials.createSsl(Buffer.from(pair.ca), Buffer.from(pair.key), Buffer.from(pair.certificate));
  const client = new AdminClient(`127.0.0.1:${port}`, secrets);
  const call: ClientDuplexStream<AgentMessage, QueryMessage> = client.serve();
  const received: QueryMessage[] = [];
  let error: ServiceError | undefined;
  call.on("data", (message: QueryMessage) => void received.push(message));
  call.on("error", (thrown: ServiceError) => {
    error = thrown;
  });
  const close = () => {
    call.cancel();
    client.close();
  };
  t.after(close);
  call.write({ message: { $case: "hello", value: { node, version: "test" } } });
  const answer = (last: boolean, problem: string, part: Parameters<typeof MapRows.fromPartial>[0] | undefined) => {
    const rows = part && ({ $case: "rows", value: MapRows.fromPartial(part) } as const);
    call.write({ message: { $case: "answer", value: { id: 1, last, problem, part: rows } } });
  };
  return {
    received,
    close,
    rows: (part: Parameters<typeof MapRows.fromPartial>[0]) => answer(part.summary !== undefined, "", part),
    refuse: (problem: string) => answer(true, problem, undefined),
    asked: () => waitFor("the query", () => received.length > 0),
    cases: () => received.map(({ message }) => message?.$case),
    error: () => error,
  };
}

function read(t: TestContext, port: number, tls: MeshTls, node: string, limit: number) {
  const client = new AdminClient(`127.0.0.1:${port}`, credentials.createSsl(Buffer.from(tls.ca)));
  const request = DumpRequest.fromPartial({ node, query: { map: "backends", limit } });
  const call = client.dump(request, new Metadata());
  const responses: DumpResponse[] = [];
  const state = { error: undefined as ServiceError | undefined, ended: false };
  call.on("data", (response: DumpResponse) => void responses.push(response));
  call.on("end", () => {
    state.ended = true;
  });
  call.on("error", (error: ServiceError) => {
    state.error = error;
  });
  t.after(() => {
    call.cancel();
    client.close();
  });
  return {
    responses,
    state,
    cancel: () => call.cancel(),
    pause: () => call.pause(),
    resume: () => call.resume(),
    ends: () => waitFor("the end", () => state.ended || state.error !== undefined),
    nodes: () =>
      responses.flatMap(({ message }) =>
        message?.$case === "node" ? [[message.value.state, message.value.message]] : [],
      ),
    rows: () => responses.flatMap(({ message }) => (message?.$case === "rows" ? [message.value] : [])),
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
  assert.deepEqual([reader.state.error, reader.nodes()], [undefined, [[HEARD, ""]]]);
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
    assert.deepEqual([reader.nodes(), reader.state.error], [[[state, ""]], undefined]);
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
    agent.rows(part as Parameters<typeof agent.rows>[0]);
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
    await waitFor("the end of the stream", () => w1.error()?.code === status.INVALID_ARGUMENT);
    assert.match(w1.error()?.details ?? "", /answer.rows.rows has more than 256 entries/);
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
  assert.deepEqual([denied.state.error?.code, denied.responses], [status.PERMISSION_DENIED, []]);
  rig.access.refuse = undefined;
  for (const limit of [0, 100_001]) {
    const reader = rig.read("w1", limit);
    await reader.ends();
    assert.equal(reader.state.error?.code, status.INVALID_ARGUMENT);
  }
  const readers = Array.from({ length: 8 }, () => rig.read());
  await waitFor("all to be served", () => readers.every(({ responses }) => responses.length > 0));
  const ninth = rig.read();
  await ninth.ends();
  assert.equal(ninth.state.error?.code, status.RESOURCE_EXHAUSTED);
  readers[0]?.cancel();
  await waitFor("a place", async () => {
    const next = rig.read();
    await waitFor("an answer", () => next.responses.length > 0 || next.state.error !== undefined);
    return next.state.error === undefined;
  });
});
