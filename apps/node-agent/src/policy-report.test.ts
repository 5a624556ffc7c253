import assert from "node:assert/strict";
import { test } from "node:test";
import { printable } from "@isthmus/model";
import type { Applied, PoliciesInForce } from "@isthmus/proto";
import { allow, makeMeshNode } from "@isthmus/node-policy/testing";
import { createMemoryKernel, createRecordSource, makePolicy } from "@isthmus/testing";
import { createPolicyReport } from "./policy-report.js";
import { startTestNode } from "./testing/test-node.js";
import { synced } from "./testing/two-clusters.js";

const KEY = (name: string) => `policies/networkpolicies/shop/${name}`;
const BLOCK = [{ ipBlock: { cidr: "192.0.2.0/24" } }];

/** A node, and what it reports after each apply. */
async function startNode() {
  const reports: PoliciesInForce[] = [];
  const maps = { hold: true };
  let take: ((acks: readonly Applied[]) => PoliciesInForce) | undefined;
  const node = await startTestNode({
    ...{ kernel: createMemoryKernel(), enforces: true },
    applied: (acks) => void (take && reports.push(take(acks))),
  });
  take = createPolicyReport({ policies: node.state.meshState.policies, inMaps: () => maps.hold });
  const east = createRecordSource({ clusterId: 0 });
  east.change([makeMeshNode("n1", { addresses: ["172.18.0.1"] }), allow("web", "web", "ingress", [])]);
  await synced(node, east);
  return { node, east, reports, maps };
}

test("a record that the agent refuses is acknowledged as refused, with the reason, and the others as in force", async () => {
  const { node, east, reports } = await startNode();
  assert.deepEqual(reports.at(-1), { position: east.position, inForce: 1, refused: [], moreRefused: 0 });
  await node.receive(
    east.change([makePolicy("shop/web", { kind: "NetworkPolicy" }), allow("api", "web", "ingress", [])]),
  );
  const { refused = [], ...rest } = reports.at(-1) ?? {};
  assert.deepEqual(rest, { position: east.position, inForce: 1, moreRefused: 0 });
  assert.deepEqual(
    refused.map(({ key }) => key),
    [KEY("web")],
  );
  assert.match(refused[0]?.reason ?? "", /^Cannot enforce policy "policies\/networkpolicies\/shop\/web": /);
  await node.receive(east.change([allow("web", "web", "ingress", [])]));
  assert.deepEqual(reports.at(-1), { position: east.position, inForce: 2, refused: [], moreRefused: 0 });
});

test("the report names some that are refused, and counts the others", async () => {
  const { node, east, reports } = await startNode();
  const bad = Array.from({ length: 40 }, (_, i) => makePolicy(`shop/p${i}`, { kind: "\u001b[2J".repeat(1000) }));
  await node.receive(east.change(bad));
  const last = reports.at(-1);
  assert.deepEqual([last?.inForce, last?.refused.length, last?.moreRefused], [1, 16, 24]);
  for (const { reason } of last?.refused ?? []) assert.equal(reason, printable(reason, 256));
});

test("the position is that of what is in force, and there is none while the maps lack something of it", async () => {
  const { node, east, reports, maps } = await startNode();
  const before = east.position;
  reports.length = 0;
  await node.receive(east.change([allow("out", "web", "egress", BLOCK)]));
  assert.deepEqual(
    reports.map(({ position, inForce }) => ({ position, inForce })),
    [
      { position: before, inForce: 1 },
      { position: east.position, inForce: 2 },
    ],
    "its range gets its identity first",
  );
  maps.hold = false;
  await node.receive(east.change([allow("in", "web", "ingress", [])]));
  assert.equal(reports.at(-1)?.position, undefined);
  maps.hold = true;
  node.state.applier.kick();
  await node.receive();
  assert.deepEqual(reports.at(-1), { position: east.position, inForce: 3, refused: [], moreRefused: 0 });
});
