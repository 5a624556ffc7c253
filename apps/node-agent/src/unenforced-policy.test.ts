/** What is said of policies that mode `sockets` does not enforce, and when its start is refused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createLogger } from "@isthmus/observe";
import { parseAddress } from "@isthmus/model";
import { createMemoryKernel, createRecordSource } from "@isthmus/testing";
import { allow, makeEndpoint, makeIdentity, makeMeshNode, numberOf, shopLabels } from "@isthmus/node-policy/testing";
import type { PodAttachment } from "./pods/index.js";
import { startTestNode } from "./testing/test-node.js";
import { synced } from "./testing/two-clusters.js";
import { createFailedPolicies, createUnenforcedCheck, createUnenforcedReport } from "./unenforced-policy.js";

const podOf = (name: string, address: string): PodAttachment => ({
  ...{ hostDevice: `mesh${name}`, addresses: [parseAddress(address)], containerId: name, interfaceName: "eth0" },
  ...{ namespace: "shop", name, uid: `uid-${address}` },
});

function makeCheck(accepted: boolean, attachedPods: () => Promise<readonly PodAttachment[]>) {
  const lines: string[] = [];
  const log = createLogger({ app: "t", level: "warn", destination: { write: (line) => void lines.push(line) } });
  return { check: createUnenforcedCheck({ accepted, attachedPods, log }), lines };
}

const ADDRESSES = ["10.1.1.5", "10.1.1.6", "10.1.1.7", "10.1.1.8"].map(parseAddress);

test("a change to mode sockets is refused with the pods that policies select, and what to do", async () => {
  const { check } = makeCheck(false, async () => [podOf("web", "10.1.1.5"), podOf("db", "10.1.1.6")]);
  await assert.rejects(check(ADDRESSES.slice(0, 3)), {
    data: { code: "POLICY_IN_FORCE", pods: 3 },
    message:
      "Cannot change to --datapath-mode sockets, which enforces no policies: policies select 3 of this node's pods " +
      "(10.1.1.7, shop/db, shop/web) and stay in force; start the agent with --datapath-mode packets and delete the " +
      "policies first, or open these pods with --unenforced-policy",
  });
  await assert.rejects(check(ADDRESSES), /4 of this node's pods \(10\.1\.1\.7, 10\.1\.1\.8, shop\/db and 1 more\)/);
});

test("without a file of pods their addresses are named", async () => {
  const { check } = makeCheck(false, () => Promise.reject(new Error("no file")));
  await assert.rejects(check(ADDRESSES.slice(0, 1)), /select 1 of this node's pods \(10\.1\.1\.5\)/);
});

test("with --unenforced-policy the change is logged", async () => {
  const { check, lines } = makeCheck(true, async () => [podOf("web", "10.1.1.5")]);
  await check(ADDRESSES.slice(0, 1));
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? "", /Policies are not enforced any more/);
});

test("a node whose maps do not hold what policies say has a condition that names what and why", () => {
  const errors = new Map<string, Error>();
  let said: string | undefined;
  const report = createFailedPolicies({
    errors: () => errors,
    condition(_type, message) {
      said = message;
    },
  });
  report();
  assert.equal(said, undefined);
  errors.set("policy of 10.1.1.5", new Error("Cannot add to mesh_policy_peers: it is full"));
  for (const address of ["10.1.1.6", "10.1.1.7", "10.1.1.8"]) errors.set(`policy of ${address}`, new Error("full"));
  report();
  assert.equal(
    said,
    "policies are not enforced as they are written, and what was enforced before stays: policy of 10.1.1.5, " +
      "policy of 10.1.1.6, policy of 10.1.1.7 and 1 more: Cannot add to mesh_policy_peers: it is full",
  );
  errors.clear();
  report();
  assert.equal(said, undefined);
});

test("a node in mode sockets has a condition as long as a policy selects a pod of its own", async () => {
  const [WEB, DB] = [numberOf(1, 256), numberOf(1, 257)];
  const [POD, OTHER] = ["10.1.1.5", "10.1.2.5"];
  const web = allow("web", "web", "ingress", [{ podSelector: { matchLabels: { app: "db" } } }]);
  const deny = allow("deny", "web", "egress", [{ podSelector: { matchLabels: { app: "none" } } }]);
  const db = allow("db", "db", "ingress", [{ podSelector: { matchLabels: { app: "web" } } }]);
  const east = createRecordSource({ clusterId: 0 });
  east.change([
    makeIdentity(WEB, shopLabels("east", { app: "web" })),
    makeIdentity(DB, shopLabels("east", { app: "db" })),
    makeMeshNode("n1", { addresses: ["172.18.0.1"], podCidrs: ["10.1.1.0/24"] }),
    makeMeshNode("n2", { addresses: ["172.18.0.2"], podCidrs: ["10.1.2.0/24"] }),
    makeEndpoint(POD, WEB),
    makeEndpoint(OTHER, DB, { node: "n2" }),
    db,
  ]);
  const node = await synced(await startTestNode({ kernel: createMemoryKernel() }), east);
  const { state } = node;
  let condition: string | undefined;
  const look = createUnenforcedReport({
    meshState: state.meshState,
    condition(type, message) {
      assert.equal(type, "PolicyNotEnforced");
      condition = message;
    },
  });
  state.changes(look);
  state.pods.attach(podOf("web", POD));
  await node.receive();
  assert.equal(condition, undefined, "the policy selects a pod of another node");

  await node.receive(east.change([web]));
  const sentence = (what: string) =>
    `policies are not enforced, because its node-agent runs with --datapath-mode sockets: ${what} of its pods; ` +
    "start it with --datapath-mode packets";
  assert.equal(condition, sentence("1 (NetworkPolicy shop/web) for 1"));
  await node.receive(east.change([deny]));
  assert.equal(condition, sentence("2 (NetworkPolicy shop/deny, NetworkPolicy shop/web) for 1"));
  await node.receive(east.change([], [web, deny]));
  assert.equal(condition, undefined);

  await node.receive(east.change([web]));
  state.pods.detach("meshweb");
  await node.receive();
  assert.equal(condition, undefined, "the pod is gone");
});
