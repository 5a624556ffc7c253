/** Fragments in any order, and on several CPUs at once: those of a datagram have one way (bpf/lib/fragment.h). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { UDP } from "@isthmus/model";
import fc from "fast-check";
import { MAP_NAMES } from "./gen/index.js";
import { loadTestObject } from "./testing/objects.js";
import { makePacket } from "./testing/packets.js";
import { loadPodPrograms } from "./testing/pod-programs.js";
import { READERS, race } from "./testing/race.js";
import { TcAction } from "./testing/skb-run.js";

const A = { address: "10.1.0.1", ifindex: 1, mac: "02:00:00:00:0a:01", hostMac: "02:00:00:00:0a:02" };
const B = { ...A, address: "10.1.0.2", mac: "02:00:00:00:0b:01" };
const [PAST, THROUGH] = [80, 81];
const PARTS = 4;

/** A fragment that comes: of which of some datagrams, and which of its parts. */
interface Step {
  readonly datagram: number;
  readonly part: number;
}

test("in any order, also when some come twice, fragments go as the one that came first", async (t) => {
  const programs = loadPodPrograms(t);
  for (const pod of [A, B]) programs.addPod(pod);
  programs.addRange("10.1.0.0/16", 1);
  const ends = { source: A.address, target: B.address, sourceMac: A.mac, protocol: UDP };
  const back = { source: B.address, target: A.address, protocol: UDP, sourcePort: THROUGH, targetPort: 40_000 };
  await programs.run("to_pod", makePacket(back), { ifindex: A.ifindex });
  let ids = 0;
  const step: fc.Arbitrary<Step> = fc.record({ datagram: fc.nat(3), part: fc.nat(PARTS - 1) });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const first = ids;
      ids += 4;
      const ways = new Map<number, number>();
      for (const { datagram, part } of steps) {
        const targetPort = datagram % 2 === 0 ? PAST : THROUGH;
        const fragment = (part < PARTS - 1 ? 0x2000 : 0) | part;
        const packet = makePacket({ ...ends, targetPort, id: (first + datagram) & 0xffff, fragment });
        const { action } = await programs.run("from_pod", packet, { ifindex: A.ifindex });
        const passes = part === 0 && targetPort === PAST;
        const way = ways.get(datagram) ?? (passes ? TcAction.Redirect : TcAction.Unspecified);
        assert.equal(action, way, JSON.stringify({ datagram, part }));
        ways.set(datagram, way);
      }
    }),
    { numRuns: 300 },
  );
});

test("on several CPUs at once, all fragments of a datagram have one way", async (t) => {
  const loaded = loadTestObject(t, "fragment_race_test", { [MAP_NAMES.fragments]: 65_536 });
  const runs = 100_000;
  const counts = await race(t, loaded, ["race_fragments"], 2, () => setImmediate(undefined), runs);
  assert.ok(counts.reads >= 2 * READERS * runs, `${counts.reads} fragments`);
  assert.ok(counts.torn > 0, "no fragment met another one");
  assert.ok(counts.churned > 0, "no datagram passed the stack");
  assert.equal(counts.mixed, 0);
});
