/** The figures of nodes in a status: which agents are asked, and what is said of those that do not answer. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { AdminClient, AgentReport, NodeFigures, StatusResponse } from "@isthmus/proto";
import { LIMIT, startQueryRig, waitFor } from "./testing/query-rig.js";

const FIGURES = NodeFigures.fromPartial({
  datapathMode: "packets",
  maps: [{ map: "mesh_conntrack_v2", used: 3, capacity: 4 }],
  counters: [{ name: "spoofed_source", total: 2n ** 40n, lastMinute: 7n, isDrop: true }],
});

/** Agents of w1 to w3, of which w3 is not connected. */
async function setUp(t: TestContext) {
  const agents = ["w1", "w2", "w3"].map((node) => AgentReport.fromPartial({ node, connected: node !== "w3" }));
  const rig = await startQueryRig(t, { status: () => StatusResponse.fromPartial({ agents }) });
  const client = new AdminClient(`127.0.0.1:${rig.adminPort}`, credentials.createSsl(Buffer.from(rig.tls.ca)));
  t.after(() => client.close());
  return {
    ...rig,
    async agent(node: string) {
      const agent = await rig.agent(node);
      await waitFor(`the stream of ${node}`, () => rig.queries.has(node));
      return agent;
    },
    /** Figures by node, or the sentence that says why there are none. */
    ask: (figures = true) =>
      new Promise<Record<string, NodeFigures | string>>((resolve, reject) =>
        client.status({ figures }, new Metadata(), (error: ServiceError | null, response) => {
          if (error !== null) return reject(error);
          const { agents } = response;
          resolve(Object.fromEntries(agents.map((each) => [each.node, each.figures ?? each.figuresProblem])));
        }),
      ),
  };
}

const asFigures = (value: NodeFigures) => ({ last: true, part: { $case: "figures", value } }) as const;

test("each agent is asked once, with the right to read; those without a stream are named", LIMIT, async (t) => {
  const rig = await setUp(t);
  const w1 = await rig.agent("w1");
  const asked = rig.ask();
  await waitFor("the query", () => w1.received.length === 1);
  assert.deepEqual(w1.received[0]?.message, {
    $case: "query",
    value: { credit: 1, query: { $case: "figures", value: {} } },
  });
  w1.answer(asFigures(FIGURES));
  assert.deepEqual(await asked, {
    w1: FIGURES,
    w2: "its agent answers no queries of this server: it is of an older version",
    w3: "its agent is not connected to this server",
  });
  assert.deepEqual([rig.access.asked, w1.cases()], [["read"], ["query"]]);
});

test("a status without figures asks no agent", LIMIT, async (t) => {
  const rig = await setUp(t);
  const w1 = await rig.agent("w1");
  assert.deepEqual(await rig.ask(false), { w1: "", w2: "", w3: "" });
  const asked = rig.ask();
  await waitFor("the query", () => w1.received.length > 0);
  w1.answer(asFigures(FIGURES));
  await asked;
  assert.deepEqual(w1.cases(), ["query"]);
});

test("callers that ask meanwhile share one round", LIMIT, async (t) => {
  const rig = await setUp(t);
  const w1 = await rig.agent("w1");
  const asked = [rig.ask(), rig.ask(), rig.ask()];
  await waitFor("all three calls", () => rig.access.asked.length === 3);
  w1.answer(asFigures(FIGURES));
  for (const each of asked) assert.deepEqual((await each)["w1"], FIGURES);
  assert.deepEqual(w1.cases(), ["query"]);
});

test("an agent that refuses, ends its stream, or answers something else gives no figures", LIMIT, async (t) => {
  const rig = await setUp(t);
  const [w1, w2] = [await rig.agent("w1"), await rig.agent("w2")];
  const asked = rig.ask();
  await waitFor("the queries", () => w1.received.length === 1 && w2.received.length === 1);
  w1.answer({ last: true, problem: "older\u001b[2J" });
  w2.close();
  const { w1: refused, w2: ended } = await asked;
  assert.match(String(refused), /^older/);
  assert.ok(!String(refused).includes("\u001b"));
  assert.equal(ended, "its agent's stream ended");
  const again = rig.ask();
  await waitFor("the query", () => w1.received.length === 2);
  w1.answer({
    id: 2,
    last: true,
    part: { $case: "events", value: { events: [], notShown: undefined, identities: [] } },
  });
  assert.equal((await again)["w1"], "its agent does not answer what was asked");
});

test("an agent that does not answer in time is left out, and its query cancelled", LIMIT, async (t) => {
  const rig = await setUp(t);
  const [w1, w2] = [await rig.agent("w1"), await rig.agent("w2")];
  const asked = rig.ask();
  await waitFor("the query", () => w2.received.length === 1);
  w2.answer(asFigures(FIGURES));
  const { w1: late, w2: prompt } = await asked;
  assert.deepEqual([late, prompt], ["its agent did not answer within 2 s", FIGURES]);
  await waitFor("the cancel", () => w1.cases().includes("cancel"));
});

test("figures out of bounds end the agent's stream, and names are made printable", LIMIT, async (t) => {
  const rig = await setUp(t);
  const w1 = await rig.agent("w1");
  const asked = rig.ask();
  await waitFor("the query", () => w1.received.length === 1);
  const hostile = { datapathMode: "\u202e", maps: [{ map: "\u001b[2J" }], counters: [{ name: "\r\n" }] };
  w1.answer(asFigures(NodeFigures.fromPartial(hostile)));
  const shown = (await asked)["w1"] as NodeFigures;
  const texts = [shown.datapathMode, shown.maps[0]?.map, shown.counters[0]?.name];
  for (const text of texts) assert.match(text ?? "", /^[^\p{Cc}\p{Cf}]+$/u);
  const again = rig.ask();
  await waitFor("the query", () => w1.received.length === 2);
  const counters = Array.from({ length: 257 }, () => ({ name: "x" }));
  w1.answer({ id: 2, ...asFigures(NodeFigures.fromPartial({ counters })) });
  assert.equal((await again)["w1"], "its agent's stream ended");
  await waitFor("the end of the stream", () => w1.error?.code === status.INVALID_ARGUMENT);
  assert.match(w1.error?.details ?? "", /answer.figures.counters has more than 256 entries/);
});
