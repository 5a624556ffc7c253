/** The agent's side of queries: credit, unknown queries, a node without events, rows of maps, figures, bounds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  EventFilter,
  MapRows,
  NodeFigures,
  NodeFrontends,
  PolicyEntries,
  PolicyQuery,
  type Query,
  type QueryAnswer,
} from "@isthmus/proto";
import { nextTurn } from "@isthmus/runtime";
import { createFakeClock, settle, until } from "@isthmus/testing";
import type { FrontendLookup } from "../dump/frontend-lookup.js";
import type { MapQueries } from "../dump/map-queries.js";
import { BATCH_EVENTS } from "../events/event-batch.js";
import { startFakeFeed } from "../events/testing/fake-events.js";
import { createQuerySession } from "./query-session.js";

const monitor = (credit: number): Query => ({ credit, query: { $case: "monitor", value: EventFilter.create() } });

const dump = (credit: number): Query => ({
  credit,
  query: { $case: "map", value: { map: "services", limit: 100, sources: [] } },
});

/** Three parts of a row each, and a last one without rows. */
function fakeMaps(fail?: Error) {
  const state = { read: 0, opened: [] as string[] };
  const maps: MapQueries = {
    open({ map }) {
      state.opened.push(map);
      let left = 3;
      return {
        async next(signal) {
          state.read++;
          await Promise.resolve();
          signal.throwIfAborted();
          if (fail !== undefined) throw fail;
          return MapRows.fromPartial(left-- > 0 ? { rows: [{ cells: [] }] } : { summary: { more: 7 } });
        },
      };
    },
  };
  return { maps, state };
}

/** An answer that takes three slices of work, and names the port that was asked for; port 1 takes work without end. */
function fakeLookup(state: { read: number }, fail?: Error): FrontendLookup {
  return {
    open({ frontends }) {
      const [first] = frontends;
      if (first === undefined) return { problem: "no frontend" };
      return (function* () {
        for (let step = 0; step < 3 || first.port === 1; step++) {
          state.read++;
          if (fail !== undefined) throw fail;
          yield;
        }
        return NodeFrontends.fromPartial({ frontends: [{ service: first.port }] });
      })();
    },
  };
}

const lookUp = (credit: number, port = 80): Query => {
  const frontends = port === 0 ? [] : [{ address: Buffer.alloc(16), port, protocol: 6 }];
  return { credit, query: { $case: "frontends", value: { frontends } } };
};

const FIGURES = NodeFigures.fromPartial({ datapathMode: "packets", counters: [{ name: "flow_new", total: 3n }] });

const ENTRIES = PolicyEntries.fromPartial({ endpoint: 3, set: 4, allowed: true });

function setUp(fail?: Error) {
  const { maps, state } = fakeMaps(fail);
  const fake = startFakeFeed();
  const sent: QueryAnswer[] = [];
  const session = createQuerySession({
    events: fake.feed,
    maps,
    frontends: fakeLookup(state, fail),
    figures() {
      if (fail !== undefined) throw fail;
      return FIGURES;
    },
    policy: (query) => (query.protocol === 6 ? ENTRIES : { problem: "not that" }),
    send: (answer) => void sent.push(answer),
    clock: fake.clock,
  });
  const start = (id: number, query: Query) => session.receive({ id, message: { $case: "query", value: query } });
  return { ...fake, session, sent, start, state };
}

const sizes = (sent: readonly QueryAnswer[]) =>
  sent.map(({ id, part }) => [id, part?.$case === "events" ? part.value.events.length : -1]);

test("parts are sent as far as there is credit, and go on when more is given", () => {
  const { session, sent, start, write } = setUp();
  start(1, monitor(2));
  write(Array.from({ length: 4 * BATCH_EVENTS }, () => ({})));
  assert.deepEqual(sizes(sent), [
    [1, BATCH_EVENTS],
    [1, BATCH_EVENTS],
  ]);
  session.receive({ id: 1, message: { $case: "credit", value: 1 } });
  assert.equal(sent.length, 3);
  session.receive({ id: 1, message: { $case: "credit", value: 5 } });
  assert.equal(sent.length, 4);
});

test("a cancelled query is over, and its events are not asked for any more", () => {
  const { session, sent, start, write, feed } = setUp();
  start(1, monitor(9));
  session.receive({ id: 1, message: { $case: "cancel", value: {} } });
  session.receive({ id: 7, message: { $case: "credit", value: 1 } });
  write(Array.from({ length: BATCH_EVENTS }, () => ({})));
  assert.deepEqual([sent, feed.subscribers], [[], 0]);
});

test("what was not shown is reported every second while no events come", async () => {
  const { sent, start, counts, clock } = setUp();
  start(1, monitor(9));
  counts.limited = 3;
  await clock.advance(1000);
  assert.deepEqual(
    sent.map(({ part }) => part?.$case === "events" && part.value.notShown?.limited),
    [3n],
  );
  await clock.advance(5000);
  assert.equal(sent.length, 1);
});

test("a query that the agent does not know, and one too many, are answered with a problem", () => {
  const { sent, start } = setUp();
  start(1, { credit: 1, query: undefined });
  assert.deepEqual([sent[0]?.id, sent[0]?.last], [1, true]);
  assert.match(sent[0]?.problem ?? "", /older version/);
  for (let id = 2; id < 2 + 17; id++) start(id, monitor(1));
  assert.deepEqual([sent.length, sent[1]?.id, sent[1]?.last], [2, 18, true]);
  assert.match(sent[1]?.problem ?? "", /at most 16/);
});

test("a look-up of frontends is one part, for credit; a bad one and a map that cannot be read are problems", async () => {
  const { session, sent, start, state } = setUp();
  start(1, lookUp(0, 8080));
  await settle();
  assert.deepEqual([sent, state.read], [[], 0]);
  session.receive({ id: 1, message: { $case: "credit", value: 1 } });
  await until("the answer", () => sent.length === 1);
  const [answer] = sent;
  assert.deepEqual([answer?.id, answer?.last, answer?.problem, state.read], [1, true, "", 3]);
  assert.equal(answer?.part?.$case === "frontends" && answer.part.value.frontends[0]?.service, 8080);
  start(2, lookUp(1, 0));
  assert.deepEqual(sent[1], { id: 2, last: true, problem: "no frontend", part: undefined });
  const broken = setUp(new Error("map is gone"));
  broken.start(1, lookUp(1));
  await until("the answer", () => broken.sent.length === 1);
  assert.match(broken.sent[0]?.problem ?? "", /cannot read its maps: map is gone/);
});

test("a look-up that is cancelled stops, and at most four of those and of dumps run", async () => {
  const { session, sent, start, state } = setUp();
  start(1, lookUp(1, 1));
  for (let id = 2; id <= 4; id++) start(id, lookUp(0));
  start(5, lookUp(1));
  assert.match(sent[0]?.problem ?? "", /at most 4 maps at once/);
  await until("two turns of work", () => state.read > 1000);
  session.receive({ id: 1, message: { $case: "cancel", value: {} } });
  await nextTurn();
  const { read } = state;
  await nextTurn();
  assert.equal(state.read, read);
  start(6, lookUp(1));
  await until("the answer", () => sent.length === 2);
  assert.equal(sent[1]?.id, 6);
  session.close();
});

test("a node without events says why", () => {
  const sent: QueryAnswer[] = [];
  const session = createQuerySession({
    events: { problem: "no packets here" },
    maps: fakeMaps().maps,
    frontends: { open: () => ({ problem: "no maps" }) },
    figures: () => FIGURES,
    policy: () => ({ problem: "not asked" }),
    send: (answer) => void sent.push(answer),
    clock: createFakeClock(),
  });
  session.receive({ id: 3, message: { $case: "query", value: monitor(1) } });
  assert.deepEqual(sent, [{ id: 3, last: true, problem: "no packets here", part: undefined }]);
});

test("the end of a stream ends its queries", async () => {
  const { session, sent, start, write, feed, counts, clock } = setUp();
  start(1, monitor(9));
  session.close();
  counts.limited = 1;
  write(Array.from({ length: BATCH_EVENTS }, () => ({})));
  await clock.advance(3000);
  assert.deepEqual([sent, feed.subscribers], [[], 0]);
});

const parts = (sent: readonly QueryAnswer[]) =>
  sent.map(({ id, last, part }) => [id, last, part?.$case === "rows" ? part.value.rows.length : -1]);

test("rows are read only as far as there is credit, and the last part ends the query", async () => {
  const { session, sent, start, state } = setUp();
  start(1, dump(2));
  await settle();
  assert.deepEqual(
    [parts(sent), state.read],
    [
      [
        [1, false, 1],
        [1, false, 1],
      ],
      2,
    ],
  );
  session.receive({ id: 1, message: { $case: "credit", value: 1 } });
  await settle();
  assert.equal(state.read, 3);
  session.receive({ id: 1, message: { $case: "credit", value: 9 } });
  await settle();
  assert.deepEqual(parts(sent).slice(2), [
    [1, false, 1],
    [1, true, 0],
  ]);
  session.receive({ id: 1, message: { $case: "credit", value: 9 } });
  await settle();
  assert.equal(state.read, 4);
});

test("a cancelled query for rows reads and sends nothing more", async () => {
  const { session, sent, start, state } = setUp();
  start(1, dump(9));
  session.receive({ id: 1, message: { $case: "cancel", value: {} } });
  await settle();
  assert.deepEqual([sent, state.read], [[], 1]);
});

test("a fifth query for rows at once, and a map that cannot be read, are answered with a problem", async () => {
  const { sent, start, state, session } = setUp();
  for (let id = 1; id <= 5; id++) start(id, dump(0));
  assert.deepEqual([sent.length, sent[0]?.id, state.opened.length], [1, 5, 4]);
  assert.match(sent[0]?.problem ?? "", /at most 4 maps at once/);
  session.receive({ id: 2, message: { $case: "cancel", value: {} } });
  start(6, dump(0));
  assert.equal(state.opened.length, 5);
  const broken = setUp(new Error("EPERM"));
  broken.start(1, dump(1));
  await settle();
  assert.deepEqual([broken.sent.length, broken.sent[0]?.last], [1, true]);
  assert.match(broken.sent[0]?.problem ?? "", /cannot read the map: EPERM/);
});

const figures = (credit: number): Query => ({ credit, query: { $case: "figures", value: {} } });

test("figures are one part, sent once there is credit for it; the query is over then", () => {
  const { session, sent, start } = setUp();
  start(1, figures(0));
  assert.deepEqual(sent, []);
  session.receive({ id: 1, message: { $case: "credit", value: 2 } });
  session.receive({ id: 1, message: { $case: "credit", value: 2 } });
  assert.deepEqual(sent, [{ id: 1, last: true, problem: "", part: { $case: "figures", value: FIGURES } }]);
});

test("figures that cannot be read are answered with a problem", () => {
  const { sent, start } = setUp(new Error("EPERM"));
  start(1, figures(1));
  assert.deepEqual(sent, [{ id: 1, last: true, problem: "the agent cannot read its maps: EPERM", part: undefined }]);
});

const policy = (protocol: number): Query => ({
  credit: 1,
  query: { $case: "policy", value: PolicyQuery.fromPartial({ protocol }) },
});

test("the entries that decide about a flow are one part; a query that is not answered has a problem", () => {
  const { sent, start } = setUp();
  start(1, policy(6));
  start(2, policy(17));
  assert.deepEqual(sent, [
    { id: 1, last: true, problem: "", part: { $case: "policy", value: ENTRIES } },
    { id: 2, last: true, problem: "not that", part: undefined },
  ]);
});
