/**
 * Fragments beside a netfilter that joins them, as kube-proxy's rules make it do: of a datagram that is divided between the
 * stack and the way past it, neither part would arrive.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { type TestContext, test } from "node:test";
import { makePodNode } from "./testing/pod-network.js";

const [CLIENT, SERVER, FAR] = ["10.1.0.1", "10.1.0.2", "10.2.0.9"];
const PART_BYTES = 400;
const UDP_HEADER = 8;
const IN_ORDER = [0, 1, 2, 3];

async function setUp(t: TestContext) {
  const node = makePodNode(t, "clsact");
  // A rule about connections; it drops nothing that is one.
  const rule = ["-A", "FORWARD", "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP"];
  execFileSync("nsenter", [`--net=${node.node.path}`, "iptables", ...rule]);
  const [client, server] = [await node.addLivePod(CLIENT), await node.addLivePod(SERVER)];
  const socket = await server.sockets.open("udp", 4);
  const port = await server.sockets.bind(socket, SERVER);
  const received = async () => {
    const { data, from } = await server.sockets.receive(socket);
    return { bytes: data.length, parts: [...new Set(data)].join(""), from: from?.[0] };
  };
  return { ...node, client, port, received };
}

const whole = (from: string) => ({ bytes: 4 * PART_BYTES - UDP_HEADER, parts: "abcd", from });

for (const [what, order] of [
  ["the last first", [3, 2, 1, 0]],
  ["the first in the middle", [1, 0, 2, 3]],
  ["the first last", [1, 2, 3, 0]],
] as const) {
  test(`with ${what}, a datagram arrives through the stack, and the next one past it`, async (t) => {
    const node = await setUp(t);
    const uplink = await node.addUplink("10.2.0.0/16");
    for (const [id, parts, ways] of [
      [1, order, { to_stack: 4, fragment_unknown: 1 }],
      [2, IN_ORDER, { deliver: 4 }],
    ] as const) {
      for (const [netns, device, from] of [
        [node.client.netns, ["eth0", node.client.hostMac], CLIENT],
        [uplink.other, ["up1", uplink.mac], FAR],
      ] as const) {
        const before = node.counts();
        node.sendFragments(netns, device, [from, SERVER, node.port], id, parts);
        assert.deepEqual(await node.received(), whole(from));
        const since = Object.entries(node.counts()).map(([name, count]) => [name, count - (before[name] ?? 0)]);
        const ofWays = since.filter(([name, count]) => count !== 0 && name !== "flow_new");
        assert.deepEqual(Object.fromEntries(ofWays), ways);
      }
    }
  });
}
