import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { KubeClient, KubeObject, MeshCondition, Resource } from "@isthmus/kube";
import { silentLogger } from "@isthmus/observe";
import { createFakeClock } from "@isthmus/testing";
import { createLastGood } from "../cluster/feed/last-good.js";
import { createPolicyFeeds } from "../cluster/policies/policy-feeds.js";
import { createFakeLeadership } from "../testing/fake-leadership.js";
import { createPolicyStatus } from "./policy-status.js";

const GOOD = { endpointSelector: {}, ingress: [{ fromEntities: ["cluster"] }] };
const BAD = { endpointSelector: {}, egress: [{ toFQDNs: [{ matchName: "example.org" }] }] };

interface WithStatus extends KubeObject {
  readonly status?: { readonly conditions?: readonly MeshCondition[] };
}

/** Policies as Kubernetes has them; conditions that are written are read back at once, as by a watch. */
function rig(t: TestContext) {
  const clock = createFakeClock();
  const feeds = createPolicyFeeds({ cluster: "east", lastGood: createLastGood() });
  const leadership = createFakeLeadership();
  const nodes = { on: 0, of: 2, known: true, why: [] as string[] };
  const objects = new Map<string, WithStatus>();
  const writes: string[] = [];

  function set(kind: string, object: WithStatus): void {
    const feed = feeds.all.find(({ resource }) => resource.kind === kind);
    assert.ok(feed !== undefined);
    objects.set(`${kind} ${object.metadata.name}`, object);
    const { name = "", uid = "" } = object.metadata;
    feed.take({ deletes: [], sets: [{ key: name, uid, version: 1n, value: feed.facts(object) }] });
    feeds.all[0]?.records?.takeChanges();
  }
  const client = {
    async apply(resource: Resource, { metadata, status }: WithStatus, target: { readonly subresource?: string }) {
      assert.equal(target.subresource, "status");
      const texts = (status?.conditions ?? []).map(({ status, reason, message }) => `${status} ${reason}: ${message}`);
      writes.push(`${metadata.namespace ?? "-"}/${metadata.name} ${texts.join("; ")}`);
      const before = objects.get(`${resource.kind} ${metadata.name}`);
      assert.ok(before !== undefined);
      set(resource.kind, { ...before, ...(status && { status }) });
      return { metadata, status };
    },
  } as unknown as KubeClient;
  const policyStatus = createPolicyStatus({
    ...{ policies: feeds.policies, client, clock, leadership, log: silentLogger },
    enforced: () => (nodes.known ? { nodes: nodes.of, on: () => nodes.on, why: () => nodes.why } : undefined),
  });
  const stop = new AbortController();
  const running = policyStatus.run(stop.signal);
  t.after(async () => {
    stop.abort();
    await running;
  });
  /** What was written since the last call, within so many seconds. */
  const written = async (seconds: number) => {
    for (let i = 0; i < seconds * 4; i++) await clock.advance(250);
    return writes.splice(0);
  };
  const policy = (kind: string, spec: object, generation = 1, namespace?: string): void => {
    const names = { name: "web", ...(namespace === undefined ? {} : { namespace }) };
    set(kind, { metadata: { ...names, uid: "u", generation }, spec } as WithStatus);
  };
  return { policy, written, nodes, leadership };
}

test("a policy says that it is in force, and on how many nodes, at once when it is on all", async (t) => {
  const { policy, written, nodes } = rig(t);
  policy("CiliumNetworkPolicy", GOOD, 4, "shop");
  assert.deepEqual(await written(2), [
    "shop/web True InForce: Generation 4 is in force; False OnSomeNodes: Generation 4 is enforced on 0 of 2 nodes",
  ]);
  nodes.on = 2;
  assert.deepEqual(await written(3), [
    "shop/web True InForce: Generation 4 is in force; True OnAllNodes: Generation 4 is enforced on 2 of 2 nodes",
  ]);
  assert.deepEqual(await written(70), []);
});

test("one that is not accepted says why, and what is in force", async (t) => {
  const { policy, written, nodes } = rig(t);
  nodes.on = 2;
  policy("CiliumClusterwideNetworkPolicy", BAD);
  const [first = ""] = await written(2);
  assert.match(
    first,
    /^-\/web False PolicyNotAccepted: Generation 1 is not accepted: Field "spec\.egress\[0\]\.toFQDNs" is/,
  );
  assert.match(first, /Nothing of it is in force; False NothingInForce/);
  policy("CiliumClusterwideNetworkPolicy", GOOD, 2);
  await written(5);
  policy("CiliumClusterwideNetworkPolicy", BAD, 3);
  const [second = ""] = await written(5);
  assert.match(second, /Generation 3 is not accepted.*Generation 2 stays in force; True OnAllNodes: Generation 2 is/);
});

test("a number that falls is written when it lasts, so an agent's restart causes no write", async (t) => {
  const { policy, written, nodes } = rig(t);
  nodes.on = 2;
  policy("CiliumNetworkPolicy", GOOD, 1, "shop");
  assert.equal((await written(2)).length, 1);
  nodes.on = 1;
  assert.deepEqual(await written(8), []);
  nodes.on = 2;
  assert.deepEqual(await written(20), []);
  nodes.on = 1;
  assert.match((await written(13)).join(), /^shop\/web .*OnSomeNodes: Generation 1 is enforced on 1 of 2 nodes$/);
});

test("the message says why nodes do not enforce it, when that has lasted", async (t) => {
  const { policy, written, nodes } = rig(t);
  nodes.on = 1;
  policy("CiliumNetworkPolicy", GOOD, 1, "shop");
  assert.equal((await written(2)).length, 1);
  nodes.why = ["refused by n2: no room", "4 more"];
  assert.deepEqual(await written(8), []);
  assert.match(
    (await written(5)).join(),
    /OnSomeNodes: Generation 1 is enforced on 1 of 2 nodes; refused by n2: no room; 4 more$/,
  );
});

test("nothing is written to a NetworkPolicy, which has no status, and nothing without the Lease", async (t) => {
  const { policy, written, leadership, nodes } = rig(t);
  policy("NetworkPolicy", { podSelector: {} }, 1, "shop");
  leadership.set(false);
  nodes.known = false;
  policy("CiliumNetworkPolicy", GOOD, 1, "shop");
  assert.deepEqual(await written(5), []);
  leadership.set(true);
  assert.deepEqual(await written(2), [
    "shop/web True InForce: Generation 1 is in force; Unknown NodesNotKnown: The nodes of the cluster are not known yet",
  ]);
});
