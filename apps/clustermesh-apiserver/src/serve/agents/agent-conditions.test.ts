/** Conditions and policies of a node, from its stream to the agent registry. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Ack, type NodeCondition, type Position } from "@isthmus/proto";
import { remotePosition } from "@isthmus/records";
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

test("what an agent says of policies is kept without a position that is none of the local cluster", async (t) => {
  const served = await serveStream(t, tls);
  const agent = await served.agent("n1");
  await until("in sync", () => agent.source(0).inSync);
  const reported = () => served.agents.reportedPolicies("n1");
  const sendAck = (position: Position | undefined, inForce: number) =>
    agent.send({ $case: "ack", value: Ack.fromPartial({ policies: { ...(position && { position }), inForce } }) });
  const { position } = agent.source(0);
  sendAck(position, 1);
  await until("it is kept", () => reported()?.inForce === 1);
  assert.deepEqual(reported()?.position, position);
  sendAck(remotePosition(Buffer.alloc(16, 1), 5n), 2);
  await until("the next one is kept", () => reported()?.inForce === 2);
  assert.equal(reported()?.position, undefined);
  sendAck(undefined, 3);
  await until("the last one is kept", () => reported()?.inForce === 3);
  assert.equal(agent.error, undefined);
});
