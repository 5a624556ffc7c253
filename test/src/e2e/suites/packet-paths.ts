/** Packets between pods that are not as most: fragments, and what is left to the stacks of the nodes. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { eventsOn, onNode } from "../agents.js";
import type { PacketPod, PacketPods } from "../packet-pods.js";

/** The largest that IPv4 can carry. */
const LARGEST_DATAGRAM = 65_507;
const SMALLER_MTU = 1400;
const IP_AND_UDP = 28;
/** Of the largest datagram, at an MTU of 1500. */
const FRAGMENTS = 45;
const STREAM_BYTES = 8_000_000;

export function packetPathTests(at: () => PacketPods): void {
  const servers = ({ near, far, abroad }: PacketPods) => [near, far, abroad];

  describe("Fragments", () => {
    for (const where of ["near", "far", "abroad"] as const) {
      test(`a datagram of ${LARGEST_DATAGRAM} bytes is echoed whole past the stacks: ${where}`, async () => {
        const { lab, node, paths } = at();
        const server = at()[where];
        const sample = async () => ({ own: await eventsOn(lab, node), there: await eventsOn(lab, server.node) });
        const before = await sample();
        assert.deepEqual(await paths("datagram", server.echo, `${LARGEST_DATAGRAM}`), [`echoed ${LARGEST_DATAGRAM}`]);
        const after = await sample();
        const rise = (at: "own" | "there", name: string) => (after[at][name] ?? 0) - (before[at][name] ?? 0);
        for (const at of ["own", "there"] as const) {
          assert.deepEqual([rise(at, "to_stack"), rise(at, "fragment_unknown")], [0, 0], `on ${at} node`);
          const passed = rise(at, "deliver") + rise(at, "forward");
          assert.ok(passed >= 2 * FRAGMENTS, `${passed} packets passed the stack on ${at} node`);
        }
      });
    }
  });

  describe("What needs the stack", () => {
    test("traceroute shows the node, the other node, and the pod", async () => {
      const { lab, node, paths } = at();
      const addressesOf = async (each: PacketPod["node"]) =>
        new Set(
          [...(await onNode(lab, each, "ip", "-4", "-o", "address")).matchAll(/inet ([\d.]+)\//g)].map(([, a]) => a),
        );
      const own = await addressesOf(node);
      for (const server of servers(at())) {
        const hops = (await paths("trace", server.address, "8")).map((line) => line.split(" "));
        const there = await addressesOf(server.node);
        const described = hops.map(([ttl, outcome, from = ""]) => {
          const whose =
            from === server.address ? "pod" : own.has(from) ? "node" : there.has(from) ? "other node" : from;
          return `${ttl} ${outcome} ${whose}`;
        });
        const between = server.node.name === node.name ? [] : ["2 exceeded other node"];
        const end = `${2 + between.length} refused pod`;
        assert.deepEqual(described, ["1 exceeded node", ...between, end], server.where);
      }
    });

    test("a packet that is too big for the route is answered with the route's MTU, and streams keep to it", async () => {
      const { lab, node, far, abroad, paths } = at();
      for (const server of [far, abroad]) {
        const { echo, where } = server;
        const probe = (bytes: number) => paths("probe", echo, String(bytes - IP_AND_UDP));
        assert.deepEqual(await probe(1500), [`echoed ${1500 - IP_AND_UDP}`], where);
        await onNode(lab, node, "ip", "route", "add", ...smallerRoute(server));
        try {
          const [answer = ""] = await probe(1500);
          assert.match(answer, new RegExp(`^too-big [\\d.]+ ${SMALLER_MTU}$`), where);
          assert.deepEqual(await probe(SMALLER_MTU), [`echoed ${SMALLER_MTU - IP_AND_UDP}`], where);
          const before = await eventsOn(lab, node);
          const streamed = await paths("stream", echo, String(STREAM_BYTES));
          assert.deepEqual(streamed, [`whole ${STREAM_BYTES} ${SMALLER_MTU}`], where);
          const after = await eventsOn(lab, node);
          assert.ok((after["forward"] ?? 0) - (before["forward"] ?? 0) > 100, "The stream does not go past the stack");
        } finally {
          await onNode(lab, node, "ip", "route", "del", ...smallerRoute(server));
        }
      }
    });
  });
}

/**
 * A route to this pod alone, as of a path whose next link carries less. The agent keeps those of whole nodes. Locked: the
 * kernel reports no other MTU of a route to programs.
 */
function smallerRoute({ address, node }: PacketPod): readonly string[] {
  return [`${address}/32`, "via", node.address, "mtu", "lock", String(SMALLER_MTU)];
}
