/** Rows of mesh_conntrack by the key of their flow, as the agent finds those that the programs wrote. */
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { test } from "node:test";
import { formatAddress, TCP, UDP } from "@isthmus/model";
import { createFlowLookup } from "./flows.js";
import { FlowGen, FlowKey } from "./gen/index.js";
import { makePacket } from "./testing/packets.js";
import { loadPodPrograms } from "./testing/pod-programs.js";

const MAC = "02:00:00:00:0a:01";
const COUNT = 400;
const monotonicNs = () => process.hrtime.bigint();
const randomAddress = () => `10.${randomInt(256)}.${randomInt(256)}.${randomInt(1, 255)}`;
const randomPort = () => randomInt(1, 65536);

test("every flow that programs wrote is found by its key, and no other", async (t) => {
  const programs = loadPodPrograms(t, { flows: 4096 });
  programs.addRange("10.0.0.0/8", 1);
  for (let i = 0; i < COUNT; i++) {
    const source = randomAddress();
    programs.addPod({ address: source, ifindex: 1, mac: MAC, hostMac: "02:00:00:00:0a:02" });
    const ends = { source, target: randomAddress(), sourceMac: MAC };
    const ports = { sourcePort: randomPort(), targetPort: randomPort() };
    const protocol = i % 2 === 0 ? TCP : UDP;
    await programs.run("from_pod", makePacket({ ...ends, ...ports, protocol }), { ifindex: 1 });
  }
  const flows = programs.flows();
  assert.ok(flows.length > COUNT * 0.9, `${flows.length} of ${COUNT} flows have rows`);
  const find = createFlowLookup(programs.flowTable(), monotonicNs);
  for (const { row } of flows) {
    const found = find(FlowKey.encode(row.key));
    const ends = [
      [formatAddress(row.key.a), row.key.pa],
      [formatAddress(row.key.b), row.key.pb],
    ];
    assert.ok(found !== undefined, JSON.stringify(ends));
    const own = [formatAddress(found.source), found.sourcePort];
    const other = [formatAddress(found.destination), found.destinationPort];
    assert.deepEqual(new Set([own, other].map(String)), new Set(ends.map(String)));
    assert.equal(found.protocol, row.key.proto);
    assert.equal(find(FlowKey.encode({ ...row.key, pa: row.key.pa ^ 1 })), undefined);
  }
});

test("a row that is being written is none", async (t) => {
  const programs = loadPodPrograms(t);
  programs.addRange("10.0.0.0/8", 1);
  programs.addPod({ address: "10.1.0.1", ifindex: 1, mac: MAC, hostMac: "02:00:00:00:0a:02" });
  const packet = makePacket({ source: "10.1.0.1", target: "10.1.0.2", sourceMac: MAC });
  await programs.run("from_pod", packet, { ifindex: 1 });
  const [flow] = programs.flows();
  assert.ok(flow !== undefined);
  const find = createFlowLookup(programs.flowTable(), monotonicNs);
  assert.equal(find(FlowKey.encode(flow.row.key))?.state, "unanswered");
  programs.putFlow(flow.place, { ...flow.row, gen: FlowGen.Busy });
  assert.equal(find(FlowKey.encode(flow.row.key)), undefined);
});
