/** A pod that sends frames with what is not its own. Its containers have CAP_NET_RAW, as containerd gives it by default. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { eventsOn } from "../agents.js";
import { PROBER } from "../cluster.js";
import { eventually } from "../eventually.js";
import { NAMESPACE } from "../objects.js";
import type { PacketPod, PacketPods } from "../packet-pods.js";
import type { PodCommand } from "../pod-command.js";
import { applyPolicy, label, outcome, removePolicy } from "../policies.js";
import { meshOf } from "../world.js";

const PORT = 7001;
const POLICY = "no-egress";

export function packetSpoofingTests(at: () => PacketPods): void {
  describe("A pod that forges what it sends", () => {
    test("with another pod's address, or another MAC, reaches nobody, and each frame is counted", async () => {
      const { lab, solo, node, near, far, abroad, paths, pathsIn, start } = at();
      for (const server of [near, far, abroad]) {
        const { where, address } = server;
        const listener = await listens(start, server);
        const send = (source: string, mac: string, vlan: string, text: string) =>
          paths("forge", source, mac, vlan, `${address}:${PORT}`, text);
        const dropped = async () => {
          const { spoofed_source = 0, malformed = 0 } = await eventsOn(lab, node);
          return { spoofed_source, malformed };
        };
        const before = await dropped();
        const lies: readonly (readonly [source: string, mac: string, vlan: string])[] = [
          [near.address, "own", "none"],
          [far.address, "own", "none"],
          [abroad.address, "own", "none"],
          [node.address, "own", "none"],
          ["192.0.2.1", "own", "none"],
          ["own", "02:00:00:00:00:01", "none"],
          // The stack takes a frame of VLAN 0 for an untagged one, also behind a second tag.
          [near.address, "own", "0"],
          ["own", "02:00:00:00:00:01", "0"],
        ];
        for (const lie of lies) await send(...lie, lie.join());
        await send(near.address, "own", "0,0", "two tags");
        const after = await dropped();
        const rose = { spoofed_source: before.spoofed_source + lies.length, malformed: before.malformed + 1 };
        assert.deepEqual(after, rose, where);
        await send("own", "own", "none", "honest");
        await hears(listener, "honest");
        assert.match((await listener.end()).slice(1).join(), /^[\d.]+ honest$/, where);
      }
      await eventually(
        "the pod to be named in the status",
        async () => (await meshOf(lab)("status", "--context", solo.plan.name)).err,
        (findings) => findings.includes(`packets of "${NAMESPACE}/${PROBER}" were dropped`),
      );
      assert.deepEqual(await paths("connect", near.echo), [`open ${near.name}`]);
      assert.deepEqual(await pathsIn(far, "connect", near.echo), [`open ${near.name}`]);
    });

    test("with a tag of VLAN 0, passes no policy of its own", async () => {
      const { solo, near, paths, start } = at();
      const listener = await listens(start, near);
      const send = (vlan: string, text: string) => paths("forge", "own", "own", vlan, `${near.address}:${PORT}`, text);
      await send("0", "before");
      await hears(listener, "before");
      await label(solo, PROBER, "forges=yes");
      await applyPolicy(solo, POLICY, { podSelector: { matchLabels: { forges: "yes" } }, policyTypes: ["Egress"] });
      await outcome(solo, PROBER, near.echo, "unreachable");
      await send("none", "untagged");
      await send("0", "tagged");
      await removePolicy(solo, POLICY);
      await outcome(solo, PROBER, near.echo, "open");
      await send("0", "after");
      await hears(listener, "after");
      assert.doesNotMatch((await listener.end()).join(), /tagged/);
    });
  });
}

async function listens(start: PacketPods["start"], server: PacketPod): Promise<PodCommand> {
  const listener = start(server, "listen", String(PORT));
  await eventually(
    `a listener on ${server.where}`,
    () => listener.lines.length,
    (count) => count === 1,
  );
  return listener;
}

async function hears({ lines }: PodCommand, text: string): Promise<void> {
  await eventually(
    `the datagram "${text}"`,
    () => lines.join("; "),
    (seen) => seen.includes(text),
  );
}
