/** 250 sources and 100 agents: writes and polled cursors are proportional to the changes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "@isthmus/model";
import { createMetrics } from "@isthmus/observe";
import { Hello, PeerState, ToAgent } from "@isthmus/proto";
import { until } from "@isthmus/testing";
import { createFakeSource, createFakeSources } from "../../testing/fake-source.js";
import { createAgentRegistry } from "./agent-registry.js";
import { createStreamHub } from "./stream-hub.js";

const [SOURCES, AGENTS] = [250, 100];

function fanOut(t: { after(work: () => void): void }, capabilities: string[], agents: number) {
  let visits = 0;
  let written: Buffer[] = [];
  const sources = Array.from({ length: SOURCES }, (_, i) => {
    const source = createFakeSource(i, `cluster-${i}`);
    source.change({ "services/a/x": "1" });
    return Object.assign(source, { onServed: () => void visits++ });
  });
  const hub = createStreamHub(
    { maxSnapshots: 1000, maxAgents: 1000 },
    {
      sources: createFakeSources(...sources),
      agents: createAgentRegistry(systemClock),
      clock: systemClock,
      metrics: createMetrics(),
    },
  );
  t.after(() => hub.close());
  for (let i = 0; i < agents; i++) {
    hub.open(Hello.fromPartial({ node: `n${i}`, protocolMin: 1, protocolMax: 1, capabilities }), {
      write: (bytes) => written.push(bytes) > 0,
      goAway: () => assert.fail("sent away"),
      fail: (thrown) => assert.fail(String(thrown)),
    });
  }
  return {
    sources,
    /** Writes and polled cursors of the hub during `work`. */
    async cost(work: () => Promise<void> | void) {
      await turn();
      written = [];
      visits = 0;
      await work();
      await turn();
      return { messages: written.length, visits, written };
    },
    written: () => written.length,
  };
}

const turn = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

test("the states of all sources are one message per agent and poll no cursor", async (t) => {
  const made = fanOut(t, ["source-states"], AGENTS);
  const started = process.cpuUsage();
  const { messages, visits, written } = await made.cost(() =>
    until("the next states", () => made.written() >= AGENTS, 10_000),
  );
  const { user, system } = process.cpuUsage(started);
  t.diagnostic(
    `one tick: ${messages} messages, ${visits} cursors, ${(user + system) / 1000} ms of CPU with the wait for it`,
  );
  assert.equal(messages, AGENTS);
  assert.equal(visits, 0);
  assert.equal(new Set(written).size, 1, "encoded once for all");
  const [bytes] = written;
  assert.ok(bytes !== undefined);
  const { message } = ToAgent.decode(bytes);
  assert.equal(message?.$case === "sourceStates" && message.value.states.length, SOURCES);
});

test("a change of one source is one message per agent and polls one of its cursors", async (t) => {
  const made = fanOut(t, ["source-states"], AGENTS);
  const { messages, visits } = await made.cost(() => void made.sources[7]?.change({ "services/a/x": "2" }));
  t.diagnostic(`one change: ${messages} messages, ${visits} cursors`);
  assert.deepEqual({ messages, visits }, { messages: AGENTS, visits: AGENTS });
});

test("states of all sources that change at once are one message per agent", async (t) => {
  const made = fanOut(t, ["source-states"], AGENTS);
  const { messages, visits } = await made.cost(() => {
    for (const source of made.sources) source.tell(PeerState.PEER_STATE_STALE);
  });
  t.diagnostic(`all states at once: ${messages} messages, ${visits} cursors`);
  assert.equal(messages, AGENTS);
});

test("an agent of the previous version gets each state as a message", async (t) => {
  const made = fanOut(t, [], 1);
  const { messages, written } = await made.cost(() => {
    for (const source of made.sources.slice(0, 3)) source.tell(PeerState.PEER_STATE_STALE);
  });
  assert.equal(messages, 3);
  assert.ok(written.every((bytes) => ToAgent.decode(bytes).message?.$case === "sourceState"));
});
