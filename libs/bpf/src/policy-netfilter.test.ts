/** Policies beside another proxy, which gives packets other addresses in the node's stack, as kube-proxy does for a NodePort. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { type TestContext, test } from "node:test";
import { UDP } from "@isthmus/model";
import { waitFor } from "@isthmus/runtime";
import { KnownIdentity } from "./gen/index.js";
import { makePacket } from "./testing/packets.js";
import { makePodNode } from "./testing/pod-network.js";
import { ALLOW, createPolicyWriter, DENY } from "./testing/policy-rows.js";
import type { Sockets } from "./testing/sockets.js";

const [CLIENT, SERVER, NODE, OUTSIDE] = ["10.1.0.1", "10.1.0.2", "192.168.9.1", "192.168.9.2"];
const [CLIENT_ROW, SERVER_ROW] = [1, 2];
const [ID_CLIENT, ID_SERVER, ID_OUTSIDE] = [(1 << 20) | 101, (1 << 20) | 102, (4095 << 20) | 1];
const VIP = "10.96.0.1";
const PORT = 30080;

/** A node with two pods. Its netfilter translates both a port of the node, with its own source address, and an address to the server. */
async function setUp(t: TestContext) {
  const node = makePodNode(t, "clsact");
  const uplink = await node.addUplink("10.2.0.0/16");
  const { other } = uplink;
  other.ip("addr", "add", `${OUTSIDE}/24`, "dev", "up1");
  node.node.ip("neigh", "del", OUTSIDE, "dev", "up0");
  const [client, server] = [await node.addLivePod(CLIENT), await node.addLivePod(SERVER)];
  const listener = await server.sockets.open("udp", 4);
  const port = await server.sockets.bind(listener, SERVER);
  for (const rule of [
    `PREROUTING -d ${NODE} -p udp --dport ${PORT} -j DNAT --to-destination ${SERVER}:${port}`,
    `PREROUTING -d ${VIP} -p udp --dport ${PORT} -j DNAT --to-destination ${SERVER}:${port}`,
    `POSTROUTING -p udp -m conntrack --ctorigdst ${NODE} -j MASQUERADE`,
  ])
    execFileSync("nsenter", [`--net=${node.node.path}`, "iptables", "-t", "nat", "-A", ...rule.split(" ")]);
  const policy = createPolicyWriter(node.loaded);
  policy.identity(CLIENT, ID_CLIENT);
  policy.identity(SERVER, ID_SERVER);
  policy.identity(NODE, KnownIdentity.Host);
  const own = node.nodeSockets();

  /** Sends to this address, and expects that the server gets it next, and its answer. */
  async function isAnswered(sockets: Sockets, host: string, to = PORT, text = "allowed"): Promise<void> {
    const socket = await sockets.open("udp", 4);
    await sockets.sendto(socket, host, to, text);
    const { data, from } = await server.sockets.receive(listener);
    assert.equal(data, text);
    assert.ok(from);
    await server.sockets.sendto(listener, ...from, text);
    assert.equal((await sockets.receive(socket)).data, text);
  }

  return {
    ...{ node: node.node, uplink, server: server.sockets, listener, port },
    policy,
    client: client.sockets,
    outside: node.socketsIn(other),
    isAnswered,
    /** The same of what a process of the node sends to the server itself. */
    isAnsweredHere: () => isAnswered(own, SERVER, port),
    /** Sends to this address, and waits until a drop is counted; what the server gets anyway fails the next `isAnswered`. */
    async isDenied(sockets: Sockets, host: string, counter: string): Promise<void> {
      const before = node.counts()[counter] ?? 0;
      await sockets.sendto(await sockets.open("udp", 4), host, PORT, "denied");
      await waitFor(counter, () => (node.counts()[counter] ?? 0) > before, { timeoutMs: 5000 });
    },
  };
}

test("what comes to a port of the node is not of the node for the policy of the pod that gets it", async (t) => {
  const { policy, client, outside, isAnswered, isDenied, isAnsweredHere } = await setUp(t);
  for (const from of [outside, client]) await isAnswered(from, NODE);
  policy.set(5, { out: ALLOW });
  policy.enforce(SERVER_ROW, 5, 1);
  await isAnsweredHere();
  for (const from of [outside, client]) await isDenied(from, NODE, "ingress_denied");
  policy.prefix("192.168.9.0/24", ID_OUTSIDE);
  policy.peer(5, ID_OUTSIDE, { in: ALLOW });
  policy.enforce(SERVER_ROW, 5, 2);
  for (const from of [outside, client]) await isAnswered(from, NODE);
  await isAnsweredHere();
});

test("an address of another proxy leads a pod to no other pod that its policy denies", async (t) => {
  const { policy, client, isAnswered, isDenied } = await setUp(t);
  policy.set(5, { out: ALLOW });
  policy.enforce(CLIENT_ROW, 5, 1);
  await isAnswered(client, VIP);
  policy.set(6, { out: ALLOW });
  policy.peer(6, ID_SERVER, { out: DENY });
  policy.enforce(CLIENT_ROW, 6, 2);
  await isDenied(client, VIP, "egress_denied");
  policy.enforce(CLIENT_ROW, 5, 3);
  await isAnswered(client, VIP);
});

test("fragments pass policies that allow a port when netfilter joined them and divided them again", async (t) => {
  const { policy, client, outside, isAnswered, port } = await setUp(t);
  const long = "long ".repeat(400);
  policy.class(1, [{ protocol: UDP, port }]);
  policy.class(2, [
    { protocol: UDP, port },
    { protocol: UDP, port: PORT },
  ]);
  policy.set(5, { in: { class: 1 } });
  policy.set(6, { out: { class: 2 } });
  policy.enforce(SERVER_ROW, 5, 1);
  policy.enforce(CLIENT_ROW, 6, 2);
  await isAnswered(outside, NODE, PORT, long);
  await isAnswered(client, NODE, PORT, long);
  await isAnswered(client, VIP, PORT, long);
});

test("nobody outside is the node by its address", async (t) => {
  const { node, uplink, outside, server, listener, port } = await setUp(t);
  for (const device of ["all", "up0"]) node.sysctl(`net.ipv4.conf.${device}.rp_filter=0`);
  const forge = (source: string) =>
    outside.forge(
      "up1",
      makePacket({ source, target: SERVER, targetMac: uplink.mac, protocol: UDP, targetPort: port, payload: 4 }),
    );
  const received = [];
  for (const source of [OUTSIDE, NODE, "192.168.9.3"]) await forge(source);
  for (let i = 0; i < 2; i++) received.push((await server.receive(listener)).from?.[0]);
  assert.deepEqual(received, [OUTSIDE, "192.168.9.3"]);
});
