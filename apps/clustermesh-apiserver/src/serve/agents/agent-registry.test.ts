import assert from "node:assert/strict";
import { test } from "node:test";
import { printable } from "@isthmus/model";
import { Ack, type NodeCondition, PoliciesInForce, type Position } from "@isthmus/proto";
import { remotePosition } from "@isthmus/records";
import { createFakeClock } from "@isthmus/testing";
import { createAgentRegistry } from "./agent-registry.js";

const HELLO = { version: "0", capabilities: [] };
const at = (revision: bigint, store = 1) => remotePosition(Buffer.alloc(16, store), revision);

function registry(have: Position) {
  const agents = createAgentRegistry(createFakeClock());
  agents.connected("n1", HELLO);
  agents.setApplied("n1", 2, have);
  return {
    sent: (to: Position) => agents.sent("n1", 2, to),
    acked: (position: Position) => {
      const applied = [{ clusterId: 2, position, observedUs: 0n, appliedUs: 0n }];
      agents.acked("n1", { applied, maps: [], conditions: [], policies: undefined });
    },
    inSync: () => agents.reports()[0]?.sources[0]?.inSync,
  };
}

test("an agent's position in its Hello counts as applied", () => {
  assert.equal(registry(at(5n)).inSync(), true);
});

test("sent content counts as lag until it is applied", () => {
  const agent = registry(at(5n));
  agent.sent(at(6n));
  agent.sent(at(7n));
  agent.acked(at(6n));
  assert.equal(agent.inSync(), false);
  agent.acked(at(7n));
  assert.equal(agent.inSync(), true);
});

test("an agent whose position advanced by a Mark is in sync, in the same store and in another", () => {
  const agent = registry(at(5n));
  agent.acked(at(9n));
  assert.equal(agent.inSync(), true);
  agent.acked(at(2n, 7));
  assert.equal(agent.inSync(), true);
  agent.sent(at(3n, 7));
  assert.equal(agent.inSync(), false);
});

test("a node's conditions are kept, bounded and printable, until its next Ack or stream", () => {
  const agents = createAgentRegistry(createFakeClock());
  const conditions = () => agents.reports()[0]?.conditions;
  const say = (...said: readonly NodeCondition[]) =>
    agents.acked("n1", Ack.fromPartial({ conditions: said.map((each) => ({ ...each })) }));
  agents.connected("n1", HELLO);
  say({ type: "PodSourcesChecked", message: "rp_filter is 2" });
  assert.deepEqual(conditions(), [{ type: "PodSourcesChecked", message: "rp_filter is 2" }]);
  say();
  assert.deepEqual(conditions(), []);
  say(...Array.from({ length: 500 }, () => ({ type: "\x1b[2J".repeat(5000), message: "\n".repeat(5000) })));
  const text = conditions()?.map(({ type, message }) => type + message) ?? [];
  assert.ok(text.length === 8 && text.every((each) => each.length <= 320 && each === printable(each, 320)));
  agents.connected("n1", HELLO);
  assert.deepEqual(conditions(), []);
});

test("what an agent says of policies is that of its last Ack on this stream, bounded and printable", () => {
  const agents = createAgentRegistry(createFakeClock());
  const say = (policies?: Parameters<typeof PoliciesInForce.fromPartial>[0]) =>
    agents.acked("n1", {
      applied: [],
      maps: [],
      conditions: [],
      policies: policies && PoliciesInForce.fromPartial(policies),
    });
  const refusals = (count: number, reason: string) =>
    Array.from({ length: count }, (_, i) => ({ key: `k${i}`, reason }));
  assert.equal(agents.reportedPolicies("n1"), undefined);
  agents.connected("n1", HELLO);
  say({ position: at(5n), inForce: 3, refused: refusals(1, "no room") });
  const reported = agents.reportedPolicies("n1");
  assert.deepEqual(reported, { position: at(5n), inForce: 3, refused: new Map([["k0", "no room"]]), moreRefused: 0 });
  say({ refused: refusals(1000, "\x1b[2J".repeat(5000)), moreRefused: 1 });
  const many = agents.reportedPolicies("n1");
  assert.deepEqual([many?.position, many?.refused.size, many?.moreRefused], [undefined, 16, 985]);
  for (const reason of many?.refused.values() ?? []) assert.ok(reason.length <= 256 && reason === printable(reason));
  say();
  assert.equal(agents.reportedPolicies("n1"), undefined, "an older agent says nothing");
  say({ inForce: 3 });
  agents.connected("n1", HELLO);
  assert.equal(agents.reportedPolicies("n1"), undefined, "another stream");
});

test("an agent enforces policies when the Hello of its last stream says so", () => {
  const agents = createAgentRegistry(createFakeClock());
  assert.equal(agents.enforcesPolicies("n1"), false);
  agents.connected("n1", { version: "0", capabilities: ["source-states", "policies"] });
  assert.equal(agents.enforcesPolicies("n1"), true);
  agents.connected("n1", HELLO);
  assert.equal(agents.enforcesPolicies("n1"), false);
});
