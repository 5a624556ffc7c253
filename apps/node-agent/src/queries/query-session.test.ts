/** The agent's side of queries: credit, unknown queries, a node without events, bounds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Query, QueryAnswer } from "@isthmus/proto";
import { createFakeClock } from "@isthmus/testing";
import { BATCH_EVENTS } from "../events/event-feed.js";
import { startFakeFeed } from "../events/testing/fake-events.js";
import { createQuerySession } from "./query-session.js";

const ALL = { fromNamespace: "", fromPod: "", dropsOnly: false };
const monitor = (credit: number): Query => ({ credit, query: { $case: "monitor", value: ALL } });

function setUp() {
  const fake = startFakeFeed();
  const sent: QueryAnswer[] = [];
  const session = createQuerySession({
    events: fake.feed,
    send: (answer) => void sent.push(answer),
    clock: fake.clock,
  });
  const start = (id: number, query: Query) => session.receive({ id, message: { $case: "query", value: query } });
  return { ...fake, session, sent, start };
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

test("what was not shown is told every second while no events come", async () => {
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

test("a node without events says why", () => {
  const sent: QueryAnswer[] = [];
  const session = createQuerySession({
    events: { problem: "no packets here" },
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
