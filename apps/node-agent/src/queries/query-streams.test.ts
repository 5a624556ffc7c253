/** When the agent's stream for queries is opened, opened again, and left alone. */
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { status } from "@grpc/grpc-js";
import { silentLogger } from "@isthmus/observe";
import { type AgentMessage, EventFilter, NodeFigures, type QueryMessage } from "@isthmus/proto";
import { createFakeClock, settle } from "@isthmus/testing";
import { startFakeFeed } from "../events/testing/fake-events.js";
import { type QueryStream, serveQueries } from "./query-streams.js";

class FakeStream extends EventEmitter implements QueryStream {
  readonly written: AgentMessage[] = [];
  cancelled = false;
  write(message: AgentMessage): void {
    this.written.push(message);
  }
  cancel(): void {
    this.cancelled = true;
    this.emit("error", Object.assign(new Error("cancelled"), { code: status.CANCELLED }));
  }
  fail(code: status): void {
    this.emit("error", Object.assign(new Error("failed"), { code }));
  }
}

const NO_FRONTENDS = { open: () => ({ problem: "no maps" }) };

function setUp() {
  const clock = createFakeClock();
  const { feed } = startFakeFeed();
  const streams: FakeStream[] = [];
  const over = new AbortController();
  const open = () => {
    const stream = new FakeStream();
    streams.push(stream);
    return stream;
  };
  serveQueries(open, over.signal, {
    ...{
      events: feed,
      maps: { open: () => ({ problem: "no maps" }) },
      frontends: NO_FRONTENDS,
      figures: () => NodeFigures.fromPartial({}),
      policy: () => ({ problem: "not asked" }),
    },
    ...{ node: "n1", version: "v", clock, log: silentLogger },
  });
  return { clock, feed, streams, over };
}

const QUERY: QueryMessage = {
  id: 1,
  message: {
    $case: "query",
    value: { credit: 1, query: { $case: "monitor", value: EventFilter.create() } },
  },
};

test("a hello comes first, and a stream that fails is opened again with a growing wait; its queries are over", async () => {
  const { clock, feed, streams } = setUp();
  assert.deepEqual(streams[0]?.written, [{ message: { $case: "hello", value: { node: "n1", version: "v" } } }]);
  streams[0]?.emit("data", QUERY);
  assert.equal(feed.subscribers, 1);
  streams[0]?.fail(status.UNAVAILABLE);
  await settle();
  assert.deepEqual([feed.subscribers, streams.length], [0, 1]);
  await clock.advance(200);
  assert.equal(streams.length, 2);
  for (let i = 0; i < 12; i++) {
    streams.at(-1)?.emit("end");
    await settle();
    await clock.advance(1000);
  }
  assert.ok(streams.length > 4 && streams.length < 12, `${streams.length} streams`);
});

test("a server that does not know the stream is not asked again on its connection", async () => {
  const { clock, streams } = setUp();
  streams[0]?.fail(status.UNIMPLEMENTED);
  await settle();
  await clock.advance(600_000);
  assert.equal(streams.length, 1);
});

test("the end of the connection ends the stream for good", async () => {
  const { clock, feed, streams, over } = setUp();
  streams[0]?.emit("data", QUERY);
  over.abort();
  await settle();
  await clock.advance(600_000);
  assert.deepEqual([streams.length, streams[0]?.cancelled, feed.subscribers], [1, true, 0]);
});
