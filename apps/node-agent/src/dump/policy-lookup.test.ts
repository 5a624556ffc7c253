/** What is looked up for a flow, in the kernel's maps as the agent writes them, beside what the programs do with its packet. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import {
  createGracePeriod,
  createHashMap,
  EndpointRow,
  IpcacheKey,
  IpcacheRow,
  KnownIdentity,
  keyCheck,
  MAP_NAMES,
  openPolicyPort,
  PodPolicyWord,
} from "@isthmus/bpf";
import { loadPodPrograms, makeNetns, makePacket, makeVeth, TcAction, TcpFlag } from "@isthmus/bpf/testing";
import { bytesKey, parseAddress } from "@isthmus/model";
import { type Policy, policyKey, ruleNumber } from "@isthmus/policy";
import { PolicyDirection, type PolicyEntries, PolicyQuery } from "@isthmus/proto";
import {
  ciliumPolicy,
  createInputs,
  key,
  labelsOf,
  networkPolicy,
  numberOf,
  startAgent,
} from "../datapath/policy/testing/policy-node.js";
import { createPolicyLookup } from "./policy-lookup.js";

const A = { address: "10.1.0.1", ifindex: 11, mac: "02:00:00:00:0a:01", hostMac: "02:00:00:00:0a:02" };
const B = { address: "10.1.0.2", ifindex: 12, mac: "02:00:00:00:0b:01", hostMac: "02:00:00:00:0b:02" };
const EGRESS = PolicyDirection.POLICY_DIRECTION_EGRESS;
const INGRESS = PolicyDirection.POLICY_DIRECTION_INGRESS;
const PROTOCOL_AT = 14 + 9;

/** Pods A (app a) and B (app b) of a node, a range of pods, and one of the world; and what looks their flows up. */
async function setUp(t: TestContext) {
  const netns = makeNetns(t);
  for (const [i, name] of ["a", "b"].entries()) makeVeth(netns, `${name}0`, `${name}1`, A.ifindex + i);
  const programs = loadPodPrograms(t);
  for (const pod of [A, B]) programs.addPod(pod);
  programs.addRange("10.1.0.0/16", 1);
  const policy = openPolicyPort(programs.loaded.map);
  t.after(() => policy.close());
  const endpoints = programs.loaded.array(MAP_NAMES.endpoints);
  const inputs = createInputs();
  inputs.addresses.set(key(A.address), 0).set(key(B.address), 1);
  inputs.prefixes.set("10.1.0.0/16", "exact").set("203.0.113.0/24", 5);
  for (const { address } of [A, B]) inputs.pods.add(key(address));
  const agent = await startAgent({ endpoints, policy, gracePeriod: createGracePeriod() }, inputs);
  const endpointIndex = createHashMap(MAP_NAMES.endpointIndex, programs.loaded.map(MAP_NAMES.endpointIndex));
  const rules = new Map<number, { policy: string; direction: "ingress" | "egress"; path: string }>();
  const lookUp = createPolicyLookup({
    packets: { endpointIndex, endpoints, policy },
    names: {
      rules: (number) => [rules.get(number)].filter((rule) => rule !== undefined),
      identity: (number) =>
        number === numberOf(0)
          ? {
              labels: [...labelsOf(0).labels].map(([k, value]) => ({ key: k, value })),
              moreLabels: 1,
              prefix: "",
              labelBytes: 0,
            }
          : undefined,
    },
  });
  return {
    inputs,
    endpoints,
    policy,
    async enforce(...policies: readonly Policy[]): Promise<void> {
      inputs.policies.clear();
      rules.clear();
      for (const one of policies) {
        inputs.policies.set(one.name, one);
        for (const { direction, path } of one.specs.flatMap((spec) => spec.rules)) {
          const name = { policy: policyKey(one), direction, path };
          rules.set(ruleNumber(name), name);
        }
      }
      await agent.update();
      await agent.settled();
      assert.deepEqual([...agent.status.errors], []);
    },
    ask(pod: string, direction: PolicyDirection, other: string, port = 80, protocol = 6): PolicyEntries {
      const answer = lookUp(
        PolicyQuery.fromPartial({
          ...{ pod: Buffer.from(parseAddress(pod)), other: Buffer.from(parseAddress(other)) },
          ...{ direction, protocol, port },
        }),
      );
      assert.ok(!("problem" in answer), JSON.stringify(answer));
      return answer;
    },
    /** Does a connection's first packet from A reach B? */
    async passes(targetPort: number, sourcePort: number): Promise<boolean> {
      const ends = { source: A.address, target: B.address, sourceMac: A.mac };
      const packet = makePacket({ ...ends, sourcePort, targetPort, flags: TcpFlag.Syn });
      const { action, packet: sent } = await programs.run("from_pod", packet, { ifindex: A.ifindex }, netns.path);
      return action === TcAction.Redirect && sent[PROTOCOL_AT] === 6;
    },
    lookUp,
  };
}

const selects = (app: string) => ({ podSelector: { matchLabels: { app } } });
const ports = (...all: readonly (number | readonly [number, number])[]) =>
  all.map((port) => (typeof port === "number" ? { port } : { port: port[0], endPort: port[1] }));

test("without a policy everything is allowed, and there is no row of a set", async (t) => {
  const node = await setUp(t);
  await node.enforce();
  const entries = node.ask(A.address, EGRESS, B.address);
  assert.deepEqual(
    { ...entries, endpoint: entries.endpoint > 0 },
    {
      ...{ endpoint: true, identity: numberOf(0), set: 0, audited: false, revision: entries.revision },
      other: { identity: numberOf(1), exact: true, prefix: "", exactOnly: false },
      ...{ peer: undefined, port: undefined, allowed: true, rule: 0, rules: [], otherIdentity: undefined },
    },
  );
});

test("the entries of a flow that a rule of ports allows, and of those that none does", async (t) => {
  const node = await setUp(t);
  const web = networkPolicy("web", {
    ...selects("b"),
    ingress: [{ from: [selects("a")], ports: ports(80, [8000, 8015]) }],
  });
  await node.enforce(web);
  const rule = ruleNumber({ policy: "NetworkPolicy shop/web", direction: "ingress", path: "spec.ingress[0]" });
  const named = [{ policy: { kind: "NetworkPolicy", namespace: "shop", name: "web" }, path: "spec.ingress[0]" }];
  const allowed = node.ask(B.address, INGRESS, A.address, 8003);
  assert.ok(allowed.set > 0 && allowed.revision > 0);
  assert.deepEqual(allowed.peer, {
    ownRow: true,
    untrusted: false,
    allPorts: false,
    allow: false,
    number: allowed.peer?.number,
  });
  assert.deepEqual(allowed.port, { found: true, protocol: 6, first: 8000, last: 8015, allow: true, rule });
  assert.deepEqual([allowed.allowed, allowed.rule, allowed.rules], [true, rule, named]);
  assert.deepEqual([allowed.otherIdentity?.number, allowed.otherIdentity?.moreLabels], [numberOf(0), 1]);

  const otherPort = node.ask(B.address, INGRESS, A.address, 81);
  const none = { found: false, protocol: 0, first: 0, last: 0, allow: false, rule: 0 };
  assert.deepEqual([otherPort.allowed, otherPort.rule, otherPort.port], [false, 0, none]);
  assert.equal(node.ask(B.address, INGRESS, A.address, 8003, 17).allowed, false);

  const world = node.ask(B.address, INGRESS, "198.51.100.1");
  assert.deepEqual(world.other, { identity: KnownIdentity.World, exact: false, prefix: "", exactOnly: false });
  assert.deepEqual(world.peer, { ownRow: false, untrusted: false, allPorts: true, allow: false, number: 0 });
  assert.deepEqual([world.allowed, world.rule], [false, 0]);
});

test("the entries of a pod in audit mode say so, and what its set denies", async (t) => {
  const node = await setUp(t);
  node.inputs.audited.add(key(B.address));
  await node.enforce(networkPolicy("web", { ...selects("b"), ingress: [{ from: [selects("a")], ports: ports(80) }] }));
  const [open, shut] = [80, 81].map((port) => node.ask(B.address, INGRESS, A.address, port));
  assert.deepEqual([open?.audited, open?.allowed, shut?.audited, shut?.allowed], [true, true, true, false]);
  assert.equal(await node.passes(81, 1001), true);
});

test("an address without a row has the identity of the longest prefix", async (t) => {
  const node = await setUp(t);
  await node.enforce(networkPolicy("web", { ...selects("b"), ingress: [{ from: [selects("a")] }] }));
  const ofRange = node.ask(B.address, INGRESS, "10.1.0.77").other;
  assert.deepEqual(ofRange, { identity: (1 << 20) | 3, exact: false, prefix: "10.1.0.0/16", exactOnly: true });
  const ofBlock = node.ask(B.address, INGRESS, "203.0.113.7").other;
  assert.deepEqual(ofBlock, { identity: numberOf(5), exact: false, prefix: "203.0.113.0/24", exactOnly: false });
});

test("a multicast address is the own node, for what a pod sends", async (t) => {
  const node = await setUp(t);
  await node.enforce(networkPolicy("none", { podSelector: {}, policyTypes: ["Egress"] }));
  for (const other of ["224.0.0.1", "255.255.255.255"]) {
    const sent = node.ask(A.address, EGRESS, other);
    assert.deepEqual([sent.other?.identity, sent.allowed], [KnownIdentity.Host, false]);
    assert.equal(node.ask(A.address, INGRESS, other).other?.identity, KnownIdentity.World);
  }
});

test("the own node reaches its pods whatever their policy says, and a pod that has no row is none of this node", async (t) => {
  const node = await setUp(t);
  await node.enforce(networkPolicy("none", { podSelector: {}, policyTypes: ["Ingress", "Egress"] }));
  const addr = parseAddress("192.0.2.1");
  const host = IpcacheKey.encode({ addr, space: 0 });
  const rowOf = (check: number) => IpcacheRow.encode({ identity: KnownIdentity.Host, node: 0, flags: 0, check });
  await node.policy.addresses.update(new Map([[bytesKey(host), rowOf(keyCheck(host) ^ 1)]]));
  assert.deepEqual(node.ask(B.address, INGRESS, "192.0.2.1").other?.identity, KnownIdentity.World, "another key's row");
  await node.policy.addresses.update(new Map([[bytesKey(host), rowOf(keyCheck(host))]]));
  const ofNode = node.ask(B.address, INGRESS, "192.0.2.1");
  assert.deepEqual([ofNode.other?.identity, ofNode.allowed, ofNode.peer], [KnownIdentity.Host, true, undefined]);
  assert.equal(node.ask(B.address, EGRESS, "192.0.2.1").allowed, false);
  assert.equal(node.ask(B.address, INGRESS, A.address).allowed, false);
  const row = EndpointRow.decode(node.endpoints.read(node.ask(B.address, INGRESS, A.address).endpoint));
  assert.equal(bytesKey(row.addr), key(B.address));
  assert.equal(PodPolicyWord.fromWord(row.policy).set, node.ask(B.address, INGRESS, A.address).set);
  const absent = node.ask("10.1.0.77", EGRESS, B.address);
  assert.deepEqual([absent.endpoint, absent.other, absent.allowed], [0, undefined, false]);
  const problem = node.lookUp(PolicyQuery.fromPartial({ direction: EGRESS }));
  assert.ok("problem" in problem);
});

test("what is looked up for both ends is what the programs do with the packet", async (t) => {
  const node = await setUp(t);
  const cases: readonly (readonly Policy[])[] = [
    [networkPolicy("in", { ...selects("b"), ingress: [{ from: [selects("a")], ports: ports(80, [8000, 8100]) }] })],
    [networkPolicy("in", { ...selects("b"), ingress: [{ from: [selects("c")] }] })],
    [
      networkPolicy("out", {
        ...selects("a"),
        policyTypes: ["Egress"],
        egress: [{ to: [selects("b")], ports: ports(8001) }],
      }),
    ],
    [
      networkPolicy("in", { ...selects("b"), ingress: [{}] }),
      ciliumPolicy("deny", {
        endpointSelector: { matchLabels: { app: "b" } },
        ingressDeny: [{ fromEndpoints: [{ matchLabels: { app: "a" } }], toPorts: [{ ports: [{ port: "8001" }] }] }],
      }),
    ],
  ];
  let sourcePort = 2000;
  let allowed = 0;
  for (const [i, policies] of cases.entries()) {
    await node.enforce(...policies);
    for (const port of [80, 81, 8000, 8001, 8100, 8101]) {
      const ends = [node.ask(A.address, EGRESS, B.address, port), node.ask(B.address, INGRESS, A.address, port)];
      const passes = await node.passes(port, ++sourcePort);
      assert.equal(
        ends.every((end) => end.allowed),
        passes,
        `case ${i}, port ${port}`,
      );
      if (passes) allowed++;
    }
  }
  assert.ok(allowed > 6 && allowed < 18, `${allowed} of 24 allowed`);
});
