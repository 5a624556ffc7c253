/** A node's conditions, from its stream to the answer of the admin API. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Ack, type NodeCondition } from "@isthmus/proto";
import { until } from "@isthmus/testing";
import { createMeshTls, type MeshTls } from "../testing/mesh-tls.js";
import { serveStream } from "../testing/serve-stream.js";

let tls: MeshTls;
before(async () => {
  tls = await createMeshTls();
});
after(() => tls.remove());

test("a condition in an Ack that applies nothing is reported, and gone with the next Ack that has none", async (t) => {
  const served = await serveStream(t, tls);
  const agent = await served.agent("n1");
  const said = () => served.agents.reports()[0]?.conditions.map(({ type, message }) => `${type}: ${message}`);
  const say = (...conditions: NodeCondition[]) => agent.send({ $case: "ack", value: Ack.fromPartial({ conditions }) });
  say({ type: "PodSourcesChecked", message: "rp_filter is 2" });
  await until("said", () => said()?.length === 1);
  assert.deepEqual(said(), ["PodSourcesChecked: rp_filter is 2"]);
  say();
  await until("taken back", () => said()?.length === 0);
});
