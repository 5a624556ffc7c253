/** Events of agents to a reader. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Metadata, status } from "@grpc/grpc-js";
import { parseAddress, printable, systemClock } from "@isthmus/model";
import { FlowEvent, MonitorRequest, MonitorState } from "@isthmus/proto";
import { LIMIT, startQueryRig, waitFor } from "./testing/query-rig.js";

const { HEARD, NO_QUERIES, NOT_CONNECTED, UNAVAILABLE, UNKNOWN } = {
  HEARD: MonitorState.MONITOR_STATE_HEARD,
  NO_QUERIES: MonitorState.MONITOR_STATE_NO_QUERIES,
  NOT_CONNECTED: MonitorState.MONITOR_STATE_NOT_CONNECTED,
  UNAVAILABLE: MonitorState.MONITOR_STATE_UNAVAILABLE,
  UNKNOWN: MonitorState.MONITOR_STATE_UNKNOWN,
};

async function setUp(t: TestContext) {
  const rig = await startQueryRig(t);
  return {
    ...rig,
    async agent(node: string, hello?: string) {
      const agent = await rig.agent(node, hello);
      /** A batch with this many events. */
      const events = (id: number, count: number) =>
        agent.answer({
          id,
          part: { $case: "events", value: { events: eventsOf(count), notShown: undefined, identities: [] } },
        });
      return Object.assign(agent, { events });
    },
    read(request: Partial<MonitorRequest> = {}) {
      const reader = rig.read((client) => client.monitor(MonitorRequest.fromPartial(request), new Metadata()));
      const messages = () => reader.responses.map(({ message }) => message);
      const nodes = () => {
        const last = messages().findLast((message) => message?.$case === "nodes");
        const list = last?.$case === "nodes" ? last.value.nodes : [];
        return Object.fromEntries(
          list.map(({ node, state: is, message }) => [node, message === "" ? is : [is, message]]),
        );
      };
      return Object.assign(reader, {
        /** Number of events by node. */
        events(): Record<string, number> {
          const sums: Record<string, number> = {};
          for (const message of messages())
            if (message?.$case === "events")
              sums[message.value.node] = (sums[message.value.node] ?? 0) + (message.value.batch?.events.length ?? 0);
          return sums;
        },
        becomes: (wanted: object) =>
          waitFor(`nodes ${JSON.stringify(wanted)}`, () => JSON.stringify(nodes()) === JSON.stringify(wanted)),
      });
    },
  };
}

function eventsOf(count: number): FlowEvent[] {
  const end = { address: Buffer.from(parseAddress("10.1.0.1")), port: 80, namespace: "shop", pod: "a" };
  const event = () => FlowEvent.fromPartial({ kind: 1, source: end, destination: { ...end, pod: "" } });
  return Array.from({ length: count }, event);
}

test(
  "a reader gets the events of every node that is heard, and which are not; an end cancels the queries",
  LIMIT,
  async (t) => {
    const rig = await setUp(t);
    const w1 = await rig.agent("w1");
    await waitFor("the stream of w1", () => rig.queries.has("w1"));
    const filter = { fromNamespace: "shop", fromPod: "a", dropsOnly: true, serviceNamespace: "shop", service: "web" };
    const reader = rig.read({ filter });
    await reader.becomes({ w1: HEARD, w2: NO_QUERIES, w3: NOT_CONNECTED });
    assert.deepEqual(rig.access.asked, ["monitor"]);
    await waitFor("the query", () => w1.received.length === 1);
    const [asked] = w1.received;
    assert.deepEqual(asked?.message, {
      $case: "query",
      value: {
        credit: 4,
        query: { $case: "monitor", value: filter },
      },
    });
    w1.events(asked?.id ?? 0, 3);
    await waitFor("three events", () => reader.events()["w1"] === 3);
    await waitFor("the credit back", () => w1.cases().includes("credit"));
    const w2 = await rig.agent("w2");
    await reader.becomes({ w1: HEARD, w2: HEARD, w3: NOT_CONNECTED });
    await waitFor("the query", () => w2.received.length === 1);
    reader.cancel();
    await waitFor("both to be cancelled", () => w1.cases().includes("cancel") && w2.cases().includes("cancel"));
  },
);

test("an agent that refuses is unavailable with its reason, and asked again on its next stream", LIMIT, async (t) => {
  const rig = await setUp(t);
  const w1 = await rig.agent("w1");
  const reader = rig.read({ nodes: ["w1", "w9"] });
  await waitFor("the query", () => w1.received.length === 1);
  const problem = "mode sockets\u001b[2J";
  w1.answer({ last: true, problem });
  await reader.becomes({ w1: [UNAVAILABLE, printable(problem)], w9: UNKNOWN });
  assert.ok(!printable(problem).includes("\u001b"));
  const again = await rig.agent("w1");
  await reader.becomes({ w1: HEARD, w9: UNKNOWN });
  assert.equal(w1.ended || w1.error !== undefined, true, "the node's older stream is ended");
  again.close();
  await reader.becomes({ w1: NO_QUERIES, w9: UNKNOWN });
});

test(
  "an agent gets no credit while the reader takes nothing, and what it sends without ends its stream",
  LIMIT,
  async (t) => {
    const rig = await setUp(t);
    const w1 = await rig.agent("w1");
    const reader = rig.read({ nodes: ["w1"] });
    await reader.becomes({ w1: HEARD });
    reader.pause();
    const credits = () => w1.cases().filter((is) => is === "credit").length;
    let sent = 0;
    // As an agent: a part for each credit, until no more comes.
    for (let idle = 0; idle < 10; ) {
      if (sent < 4 + credits()) {
        w1.events(1, 500);
        sent++;
        idle = 0;
      } else {
        idle++;
        await systemClock.delay(20);
      }
      assert.ok(sent < 3000, "the reader's buffers are endless");
    }
    assert.deepEqual([w1.error], [undefined]);
    reader.resume();
    await waitFor("what was sent, and credit", () => reader.events()["w1"] === 500 * sent && 4 + credits() > sent);
    const spare = 4 + credits() - sent;
    reader.pause();
    for (let i = 0; i < 1000 + spare; i++) w1.events(1, 500);
    await waitFor("the end of the stream", () => w1.error?.code === status.INVALID_ARGUMENT);
    assert.match(w1.error?.details ?? "", /more parts of an answer than there is credit for/);
  },
);

test(
  "a stream for queries is of the node in its certificate, and begins with a hello within bounds",
  LIMIT,
  async (t) => {
    const rig = await setUp(t);
    const forged = await rig.agent("w2", "w1");
    await waitFor("the refusal", () => forged.error?.code === status.PERMISSION_DENIED);
    const early = await rig.agent("w2", "");
    early.events(1, 1);
    await waitFor("the refusal", () => early.error?.code === status.INVALID_ARGUMENT);
    const long = await rig.agent("w2", "x".repeat(254));
    await waitFor("the refusal", () => /hello.node has 254 bytes/.test(long.error?.details ?? ""));
    const unasked = await rig.agent("w2");
    unasked.events(7, 1);
    await waitFor("the refusal", () => unasked.error?.code === status.INVALID_ARGUMENT);
    await waitFor("no stream", () => !rig.queries.has("w2"));
    assert.equal(rig.queries.has("w1"), false);
  },
);

test("a caller without the right sees nothing, and there are at most eight readers", LIMIT, async (t) => {
  const rig = await setUp(t);
  rig.access.refuse = status.PERMISSION_DENIED;
  const denied = rig.read();
  await waitFor("the refusal", () => denied.error?.code === status.PERMISSION_DENIED);
  assert.deepEqual(denied.responses, []);
  rig.access.refuse = undefined;
  const readers = Array.from({ length: 8 }, () => rig.read());
  await waitFor("all to be served", () => readers.every(({ responses }) => responses.length > 0));
  const ninth = rig.read();
  await waitFor("the refusal", () => ninth.error?.code === status.RESOURCE_EXHAUSTED);
  readers[0]?.cancel();
  await waitFor("a place", async () => {
    const next = rig.read();
    await waitFor("an answer", () => next.responses.length > 0 || next.error !== undefined);
    return next.error === undefined;
  });
});

test("a server that is closed ends its readers in order, and the queries", LIMIT, async (t) => {
  const rig = await setUp(t);
  const w1 = await rig.agent("w1");
  const reader = rig.read({ nodes: ["w1"] });
  await reader.becomes({ w1: HEARD });
  const began = performance.now();
  await rig.closeAdmin(10_000);
  assert.ok(performance.now() - began < 5000, "it does not wait for the readers");
  await waitFor("the end", () => reader.ended);
  assert.equal(reader.error, undefined);
  await waitFor("the cancel", () => w1.cases().includes("cancel"));
});

test("what an agent says is made printable, and an event without addresses is left out", LIMIT, async (t) => {
  const rig = await setUp(t);
  const w1 = await rig.agent("w1");
  const reader = rig.read({ nodes: ["w1"] });
  await waitFor("the query", () => w1.received.length === 1);
  const end = { address: Buffer.from(parseAddress("10.1.0.1")), port: 80, namespace: "shop", pod: "a\u001b[31m" };
  const name = { kind: "K\u001b", namespace: "n\u001b", name: "web\u001b" };
  const service = { address: end.address, port: 80, namespace: "shop\u009b", name: "web\u202e" };
  const value = {
    events: [
      FlowEvent.fromPartial({
        kind: 1,
        source: end,
        destination: end,
        service,
        move: { reason: "\u001b", backend: end },
        dropMeaning: "a\u001b[2J",
        policy: { rules: [{ policy: name, path: "p\u001b" }, {}], isolating: [name] },
      }),
      FlowEvent.fromPartial({ kind: 1, source: end, destination: end, service: { ...service, address: Buffer.of(1) } }),
      FlowEvent.fromPartial({ kind: 1, source: { ...end, address: Buffer.alloc(5) }, destination: end }),
      FlowEvent.fromPartial({ kind: 5, source: end, destination: end, move: { backend: { address: Buffer.of(1) } } }),
    ],
    notShown: undefined,
    identities: [{ number: 7, labels: [{ key: "app\u001b[2J", value: "a\u202e" }], moreLabels: 0, prefix: "\u009b" }],
  };
  w1.answer({ part: { $case: "events", value } });
  await waitFor("the event", () => reader.events()["w1"] !== undefined);
  assert.deepEqual(reader.events(), { w1: 1 });
  const shown = reader.responses.map(({ message }) => message).find((message) => message?.$case === "events");
  const event = shown?.$case === "events" ? shown.value.batch?.events[0] : undefined;
  for (const text of [event?.source?.pod, event?.dropMeaning])
    assert.ok(text?.startsWith("a") === true && !text.includes("\u001b"), text);
  assert.deepEqual(
    [
      event?.source?.pod,
      event?.service?.namespace,
      event?.service?.name,
      event?.move?.reason,
      event?.move?.backend?.pod,
    ],
    ["a\\u{1b}[31m", "shop\\u{9b}", "web\\u{202e}", "\\u{1b}", "a\\u{1b}[31m"],
  );
  const batch = shown?.$case === "events" ? shown.value.batch : undefined;
  assert.deepEqual(batch?.identities, [
    { number: 7, labels: [{ key: "app\\u{1b}[2J", value: "a\\u{202e}" }], moreLabels: 0, prefix: "\\u{9b}" },
  ]);
  const clean = { kind: "K\\u{1b}", namespace: "n\\u{1b}", name: "web\\u{1b}" };
  assert.deepEqual(event?.policy?.isolating, [clean]);
  assert.deepEqual(event?.policy?.rules, [
    { policy: clean, path: "p\\u{1b}" },
    { policy: undefined, path: "" },
  ]);
});
