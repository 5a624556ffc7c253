/** Conditions of a node, from its stream to the agent registry. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Ack, type NodeCondition } from "@isthmus/proto";
import { until } from "@isthmus/testing";
import { createMeshTls, type MeshTls } from "../../testing/mesh-tls.js";
import { serveStream } from "../../testing/serve-stream.js";

let tls: MeshTls;
before(async () => {
  tls = await createMeshTls();
});
after(() => tls.remove());

test("a condition in an Ack without positions is reported, and ends with the next Ack without it", async (t) => {
  const served = await serveStream(t, tls);
  const agent = await served.agent("n1");
  const reported = () => served.agents.reports()[0]?.conditions.map(({ type, message }) => `${type}: ${message}`);
  const sendAck = (...conditions: NodeCondition[]) =>
    agent.send({ $case: "ack", value: Ack.fromPartial({ conditions }) });
  sendAck({ type: "PodSourcesChecked", message: "rp_filter is 2" });
  await until("the condition is reported", () => reported()?.length === 1);
  assert.deepEqual(reported(), ["PodSourcesChecked: rp_filter is 2"]);
  sendAck();
  await until("the condition ended", () => reported()?.length === 0);
});
