/** The programs on devices, by what the agent makes of policies in the kernel's maps. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { createGracePeriod, MAP_NAMES, openPolicyPort } from "@isthmus/bpf";
import { loadPodPrograms, makeNetns, makePacket, makeVeth, TcAction, TcpFlag } from "@isthmus/bpf/testing";
import { TCP } from "@isthmus/model";
import type { Policy } from "@isthmus/policy";
import { ciliumPolicy, createInputs, key, networkPolicy, startAgent } from "./testing/policy-node.js";

const A = { address: "10.1.0.1", ifindex: 11, mac: "02:00:00:00:0a:01", hostMac: "02:00:00:00:0a:02" };
const B = { address: "10.1.0.2", ifindex: 12, mac: "02:00:00:00:0b:01", hostMac: "02:00:00:00:0b:02" };
/** Indexes of identities; of `app` these are a, b, c and a. */
const [APP_A, APP_B, APP_C, OTHER_A] = [0, 1, 2, 3];
const PORT = 8080;
/** Of the IP header's protocol in a frame. */
const PROTOCOL_AT = 14 + 9;

/** Pods A and B of a node, with identities, whose rows are as an older agent wrote them; and an agent. */
async function setUp(t: TestContext) {
  const netns = makeNetns(t);
  for (const [i, name] of ["a", "b"].entries()) makeVeth(netns, `${name}0`, `${name}1`, A.ifindex + i);
  const programs = loadPodPrograms(t);
  programs.addPod(A);
  programs.addPod(B);
  programs.addRange("10.1.0.0/16", 1);
  const policy = openPolicyPort(programs.loaded.map);
  t.after(() => policy.close());
  const port = { endpoints: programs.loaded.array(MAP_NAMES.endpoints), policy, gracePeriod: createGracePeriod() };
  const inputs = createInputs();
  inputs.addresses.set(key(A.address), APP_A).set(key(B.address), APP_B);
  inputs.prefixes.set("10.1.0.0/16", "exact");
  for (const { address } of [A, B]) inputs.pods.add(key(address));

  async function passes(
    from: typeof A,
    to: typeof A,
    fields: { flags: number; sourcePort: number; targetPort: number },
  ) {
    const packet = makePacket({ source: from.address, target: to.address, sourceMac: from.mac, ...fields });
    const { action, packet: sent } = await programs.run("from_pod", packet, { ifindex: from.ifindex }, netns.path);
    // What is denied may be answered.
    return action === TcAction.Redirect && sent[PROTOCOL_AT] === TCP;
  }

  let agent = await startAgent(port, inputs);
  return {
    inputs,
    port,
    get agent() {
      return agent;
    },
    async restart(): Promise<void> {
      await agent.settled();
      agent = await startAgent(port, inputs);
    },
    /** Sets the only policy. */
    async enforce(...policies: readonly Policy[]): Promise<void> {
      inputs.policies.clear();
      for (const one of policies) inputs.policies.set(one.name, one);
      await agent.update();
      await agent.settled();
      assert.deepEqual([...agent.status.errors], []);
    },
    /** A packet of a connection from A to B, and whether the answer passes. */
    async flows(sourcePort: number, flags: number = TcpFlag.Ack): Promise<readonly [packet: boolean, answer: boolean]> {
      const ports = { sourcePort, targetPort: PORT };
      const back = { sourcePort: PORT, targetPort: sourcePort, flags: TcpFlag.Ack };
      return [await passes(A, B, { ...ports, flags }), await passes(B, A, back)];
    },
    judged: () => programs.counts()["judged"] ?? 0,
  };
}

const selectsB = { podSelector: { matchLabels: { app: "b" } } };
const from = (app: string, port = PORT) => ({
  from: [{ podSelector: { matchLabels: { app } } }],
  ports: [{ protocol: "TCP", port }],
});

test("a policy takes effect, a wider one asks nobody again, and a narrower one ends an established flow", async (t) => {
  const node = await setUp(t);
  await node.enforce();
  assert.deepEqual(await node.flows(1001, TcpFlag.Syn), [true, true]);
  assert.equal(node.judged(), 0);

  await node.enforce(networkPolicy("p", { ...selectsB, ingress: [from("a")] }));
  assert.deepEqual(await node.flows(1001), [true, true]);
  assert.equal(node.judged(), 1);
  assert.deepEqual(await node.flows(1002, TcpFlag.Syn), [true, true]);
  const asked = node.judged();

  await node.enforce(networkPolicy("p", { ...selectsB, ingress: [from("a"), from("c")] }));
  assert.deepEqual(await node.flows(1001), [true, true]);
  assert.equal(node.judged(), asked);

  await node.enforce(networkPolicy("p", { ...selectsB, ingress: [from("c"), from("a", PORT + 1)] }));
  assert.deepEqual(await node.flows(1001), [false, false]);
  assert.deepEqual(await node.flows(1003, TcpFlag.Syn), [false, false]);

  await node.enforce();
  assert.deepEqual(await node.flows(1001), [true, true]);
});

test("another identity of an address ends the flows that it may not have, and a restarted agent changes nothing", async (t) => {
  const node = await setUp(t);
  await node.enforce(networkPolicy("p", { ...selectsB, ingress: [from("a")] }));
  assert.deepEqual(await node.flows(1001, TcpFlag.Syn), [true, true]);
  await node.restart();
  await node.agent.update();
  const asked = node.judged();
  assert.deepEqual(await node.flows(1001), [true, true]);
  node.inputs.addresses.set(key(A.address), OTHER_A);
  await node.agent.update();
  assert.deepEqual(await node.flows(1001), [true, true]);
  node.inputs.addresses.set(key(A.address), APP_C);
  await node.agent.update();
  assert.deepEqual(await node.flows(1001), [false, false]);
  node.inputs.addresses.delete(key(A.address));
  await node.agent.update();
  assert.deepEqual(await node.flows(1002, TcpFlag.Syn), [false, false]);
  assert.ok(node.judged() > asked);
});

test("what a policy denies passes in audit mode, and ends with it, also on connections that were made in it", async (t) => {
  const node = await setUp(t);
  node.inputs.audited.add(key(B.address));
  await node.enforce(networkPolicy("p", { ...selectsB, ingress: [from("c")] }));
  assert.deepEqual(await node.flows(1001, TcpFlag.Syn), [true, true]);
  const asked = node.judged();
  assert.deepEqual(await node.flows(1001), [true, true]);
  assert.equal(node.judged(), asked);
  await node.restart();
  await node.agent.update();
  assert.deepEqual(await node.flows(1001), [true, true]);
  node.inputs.audited.clear();
  await node.agent.update();
  assert.deepEqual(await node.flows(1001), [false, false]);
  assert.deepEqual(await node.flows(1002, TcpFlag.Syn), [false, false]);
  node.inputs.audited.add(key(B.address));
  await node.agent.update();
  assert.deepEqual(await node.flows(1001), [true, true]);
});

test("a pod's egress, by a rule that denies and one that names ports", async (t) => {
  const node = await setUp(t);
  const deny = (...ports: readonly string[]) =>
    ciliumPolicy("p", {
      endpointSelector: { matchLabels: { app: "a" } },
      egressDeny: [
        {
          toEndpoints: [{ matchLabels: { app: "b" } }],
          toPorts: [{ ports: ports.map((port) => ({ port, protocol: "TCP" })) }],
        },
      ],
      enableDefaultDeny: { egress: false },
    });
  await node.enforce(deny("80"));
  assert.deepEqual(await node.flows(1001, TcpFlag.Syn), [true, true]);
  await node.enforce(deny("80", String(PORT)));
  assert.deepEqual(await node.flows(1001), [false, false]);
});
