import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { loadTestObject } from "./objects.js";
import { runOnSkb, TcAction } from "./skb-run.js";

const LOOPBACK = 1;

/** A frame of 64 bytes whose last byte is this. */
function frame(last: number): Uint8Array {
  const bytes = new Uint8Array(64);
  bytes[63] = last;
  return bytes;
}

test("a program reads the context and the packet of its run, and what it changes is returned", async (t) => {
  const program = loadTestObject(t, "device_test").program("edit");
  const run = await runOnSkb(program, {
    packet: frame(41),
    context: {
      ifindex: LOOPBACK,
      ingressIfindex: 77,
      mark: 0xfedcba98,
      priority: 3,
      gsoSegments: 2,
      cb: [10, 1, 1, 1, 1],
    },
  });
  assert.equal(run.action, TcAction.Redirect);
  assert.deepEqual(run.packet, frame(42));
  assert.deepEqual(run.context.cb, [11, LOOPBACK, 77, 0xfedcba98, 2]);
  assert.equal(run.context.mark, 0xcafe0001);
  assert.equal(run.context.priority, 10);
  assert.equal(run.context.ifindex, LOOPBACK);
  assert.equal(run.context.ingressIfindex, 77);
});

test("repeated runs go on from what the run before left of the packet, and the mean duration is measured", async (t) => {
  const program = loadTestObject(t, "device_test").program("edit");
  const run = await runOnSkb(program, { packet: frame(0), repeat: 200 });
  assert.deepEqual(run.packet, frame(200));
  assert.ok(run.durationNs > 0 && run.durationNs < 1e6, `${run.durationNs} ns`);
  assert.equal((await runOnSkb(program, { packet: frame(0) })).packet[63], 1);
});

test("a negative action is a negative number", async (t) => {
  const run = await runOnSkb(loadTestObject(t, "device_test").program("frame_in"), { packet: frame(0) });
  assert.equal(run.action, TcAction.Unspecified);
});

test("devices are those of the given network namespace; an unknown one is refused", async (t) => {
  const name = `mesh-skb-${process.pid}`;
  execFileSync("ip", ["netns", "add", name]);
  t.after(() => execFileSync("ip", ["netns", "del", name]));
  execFileSync("ip", ["-n", name, "link", "add", "one", "index", "4242", "type", "bridge"]);
  const program = loadTestObject(t, "device_test").program("edit");
  const options = { packet: frame(0), context: { ifindex: 4242 } };
  const run = await runOnSkb(program, { ...options, netns: `/run/netns/${name}` });
  assert.equal(run.context.cb[1], 4242);
  await assert.rejects(runOnSkb(program, options), { code: "ENODEV" });
  await assert.rejects(runOnSkb(program, { ...options, netns: "/run/netns/no" }), { code: "ENOENT" });
});

test("a packet without an Ethernet header and too many control words are refused", async (t) => {
  const program = loadTestObject(t, "device_test").program("edit");
  await assert.rejects(runOnSkb(program, { packet: new Uint8Array(5) }), { code: "EINVAL" });
  await assert.rejects(runOnSkb(program, { packet: frame(0), context: { cb: [1, 2, 3, 4, 5, 6] } }), RangeError);
});
