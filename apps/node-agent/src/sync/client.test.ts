import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { silentLogger } from "@isthmus/observe";
import { PeerState, type ToAgent, type ToServer } from "@isthmus/proto";
import { createFakeClock, createRecordSource, makeService, settle } from "@isthmus/testing";
import { createSyncClient } from "./client.js";
import type { SyncStream } from "./connection.js";
import { createSyncCore, type SyncEffect } from "./core.js";
import { createServerList } from "./server-list.js";

class FakeStream extends EventEmitter implements SyncStream {
  readonly written: ToServer[] = [];
  cancelled = false;
  paused = false;
  write(message: ToServer): void {
    this.written.push(message);
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  isPaused(): boolean {
    return this.paused;
  }
  cancel(): void {
    this.cancelled = true;
  }
  deliver(message: ToAgent): void {
    this.emit("data", message);
  }
}

const WELCOME: ToAgent = {
  message: { $case: "welcome", value: { instance: "a", servers: [], protocol: 1, cluster: "east", clusterId: 1 } },
};

const WEST: ToAgent = {
  message: {
    $case: "sourceState",
    value: { clusterId: 2, cluster: "west", status: PeerState.PEER_STATE_IN_SYNC, behind: false, hops: [] },
  },
};

function makeRig(servers = ["a:1", "b:1"]) {
  const clock = createFakeClock();
  const stop = new AbortController();
  const dialled: string[] = [];
  const streams: FakeStream[] = [];
  const performed: SyncEffect[] = [];
  const state = { refuse: false, waiting: 0, perform: (effect: SyncEffect) => void performed.push(effect) };
  let catchUp = () => {};
  const client = createSyncClient({
    async connect(address, signal) {
      dialled.push(address);
      if (state.refuse) throw new Error("connection refused");
      signal.throwIfAborted();
      const stream = new FakeStream();
      streams.push(stream);
      return { stream, openQueries: () => assert.fail("not asked for"), close: () => undefined };
    },
    core: createSyncCore({ node: "n1", version: "v", floors: new Map() }),
    servers: createServerList(servers, [], () => 0),
    clock,
    log: silentLogger,
    signal: stop.signal,
    perform: (effect) => state.perform(effect),
    waiting: () => state.waiting,
    caughtUp: () => new Promise((resolve) => (catchUp = resolve)),
  });
  const running = client.run();
  const stream = () => streams.at(-1) as FakeStream;
  return { clock, stop, dialled, streams, stream, performed, state, client, running, catchUp: () => catchUp() };
}

test("Hello is sent first, and nothing else before the Welcome", async () => {
  const { client, stream, stop, running } = makeRig();
  await settle();
  assert.equal(stream().written[0]?.message?.$case, "hello");
  assert.equal(client.send({ message: undefined }), false);
  stream().deliver(WELCOME);
  assert.deepEqual([client.send({ message: undefined }), client.server], [true, "a:1"]);
  stop.abort();
  await running;
  assert.deepEqual([stream().cancelled, client.server], [true, undefined]);
});

test("a lost stream is reopened on the next server, with a back-off of at most two seconds after a full round", async () => {
  const { clock, dialled, stream, state, stop, running } = makeRig();
  await settle();
  stream().deliver(WELCOME);
  state.refuse = true;
  stream().emit("error", new Error("reset"));
  await settle();
  await clock.advance(100);
  assert.deepEqual(dialled, ["a:1", "b:1", "a:1"]);
  await clock.advance(60_000);
  const tries = dialled.length;
  await clock.advance(2000);
  assert.ok(dialled.length > tries && dialled.length <= tries + 4, `${dialled.length - tries}`);
  stop.abort();
  await running;
});

test("the client reconnects after the retry time of a GoAway", async () => {
  const { clock, dialled, stream, stop, running } = makeRig(["a:1"]);
  await settle();
  stream().deliver({ message: { $case: "goAway", value: { retryAfterMs: 700, reason: "busy" } } });
  await settle();
  await clock.advance(699);
  assert.equal(dialled.length, 1);
  await clock.advance(1);
  assert.equal(dialled.length, 2);
  stop.abort();
  await running;
});

test("a server that sends Welcome and ends the stream is not asked in a tight loop", async () => {
  const { clock, dialled, streams, stop, running } = makeRig(["a:1"]);
  for (let i = 0; i < 20; i++) {
    await settle();
    const stream = streams.at(-1);
    stream?.deliver(WELCOME);
    stream?.emit("end");
    await clock.advance(50);
  }
  assert.ok(dialled.length < 10, String(dialled.length));
  stop.abort();
  await running;
});

test("the retry time of a GoAway is bounded in both directions", async () => {
  for (const [retryAfterMs, atLeast, atMost] of [
    [0, 49, 1000], // a delay of 50 ms is in the range of the back-off
    [4_294_967_295, 30_000, 60_000],
  ] as const) {
    const { clock, dialled, stream, stop, running } = makeRig(["a:1"]);
    await settle();
    stream().deliver({ message: { $case: "goAway", value: { retryAfterMs, reason: "busy" } } });
    await settle();
    await clock.advance(atLeast);
    assert.equal(dialled.length, 1);
    await clock.advance(atMost - atLeast);
    assert.equal(dialled.length, 2);
    stop.abort();
    await running;
  }
});

test("a server that sends no Welcome, or later no messages, is left for the next one", async () => {
  const { clock, dialled, stream, streams, stop, running } = makeRig();
  await settle();
  await clock.advance(10_000);
  assert.deepEqual([dialled, streams[0]?.cancelled], [["a:1", "b:1"], true]);
  stream().deliver(WELCOME);
  for (let i = 0; i < 10; i++) {
    await clock.advance(20_000);
    stream().deliver(WEST);
  }
  assert.equal(dialled.length, 2);
  await clock.advance(32_000);
  assert.deepEqual(dialled.slice(0, 3), ["a:1", "b:1", "a:1"]);
  stop.abort();
  await running;
});

test("time in which the kernel is behind does not count as idle time of the server", async () => {
  const { clock, dialled, stream, state, catchUp, stop, running } = makeRig();
  await settle();
  stream().deliver(WELCOME);
  state.waiting = 1001;
  stream().deliver(WEST);
  await clock.advance(119_000);
  state.waiting = 0;
  catchUp();
  await settle();
  await clock.advance(20_000);
  assert.equal(dialled.length, 1);
  await clock.advance(12_000);
  assert.equal(dialled.length, 2);
  stop.abort();
  await running;
});

test("an exception while a message is processed ends the stream, and the next server is asked", async () => {
  const { clock, dialled, stream, state, stop, running } = makeRig();
  await settle();
  stream().deliver(WELCOME);
  state.perform = () => {
    throw new Error("cannot be");
  };
  const source = createRecordSource({ clusterId: 2 });
  stream().deliver(WEST);
  for (const message of source.firstSync()) stream().deliver(message);
  await settle();
  await clock.advance(2000);
  assert.deepEqual(dialled.slice(0, 2), ["a:1", "b:1"]);
  stop.abort();
  await running;
});

test("while the kernel is behind, the stream is not read", async () => {
  const { stream, state, catchUp, performed, stop, running } = makeRig();
  await settle();
  stream().deliver(WELCOME);
  const source = createRecordSource({ clusterId: 2 });
  source.change([makeService("a/a")]);
  stream().deliver(WEST);
  state.waiting = 1001;
  for (const message of source.firstSync()) stream().deliver(message);
  assert.equal(stream().paused, true);
  state.waiting = 0;
  catchUp();
  await settle();
  assert.equal(stream().paused, false);
  assert.deepEqual(
    performed.map(({ is }) => is),
    ["welcome", "apply"],
  );
  stop.abort();
  await running;
});

test("a stop while connecting leaves no stream open", async () => {
  const { stream, stop, running, dialled } = makeRig();
  stop.abort();
  await running;
  assert.ok(dialled.length <= 1);
  assert.equal(stream()?.written.length ?? 0, 0);
});
