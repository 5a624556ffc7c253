/** Random packets, well-formed and not, at pods whose policies allow nothing, or one port, while they have flows that were allowed before. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { TCP, UDP } from "@isthmus/model";
import fc from "fast-check";
import { ICMP, makePacket, quote, TcpFlag } from "./testing/packets.js";
import type { PodProgram } from "./testing/pod-programs.js";
import { A, B, FAR, ID_B, isRefusal, makePolicyNode, OTHER_NODE, UPLINK, WORLD } from "./testing/policy-node.js";
import { ALLOW } from "./testing/policy-rows.js";
import { TcAction } from "./testing/skb-run.js";

const [IP, IP_ADDRESSES, L4] = [14, 26, 34];
const RUNS = 3000;
const PORT = 80;
const PROTOCOLS = [TCP, TCP, TCP, UDP, ICMP, 132, 136, 47, 2, 0, 99];
const FRAGMENTS = [0x4000, 0x4000, 0x2000, 0x2000, 0, 1, 2, 3, 0x2001, 126, 0x207e];

const pick = <T>(...values: readonly T[]) => fc.constantFrom(...values);
const fields = fc.record({
  protocol: pick(...PROTOCOLS),
  // Of ICMP: type and code.
  sourcePort: pick(40_000, PORT, 0x0800, 0x0000, 0x0301, 0x0304, 0x0b00, 0x0500),
  targetPort: pick(40_000, PORT, PORT, 53, 0),
  flags: pick(TcpFlag.Syn, TcpFlag.Ack, TcpFlag.Rst, TcpFlag.Syn | TcpFlag.Ack, TcpFlag.Syn | TcpFlag.Fin, 0, 0xff),
  fragment: pick(...FRAGMENTS),
  id: pick(1, 2),
  headerLength: pick(20, 20, 20, 24, 60),
  payload: pick(0, 1, 64),
  ttl: pick(64, 1),
});
/** What an ICMP error may quote: a packet of a flow that was allowed. */
const quoted = fc.record({ peer: pick(B.address, FAR, WORLD), protocol: pick(TCP, UDP), back: fc.boolean() });
/** Bytes of the IP header and behind it that are not as they should be; its addresses and version stay. */
const faults = fc.array(
  fc
    .record({ at: fc.integer({ min: IP + 2, max: L4 + 40 }), value: fc.nat(255) })
    .filter(({ at }) => at < IP_ADDRESSES || at >= L4),
  { maxLength: 3 },
);
const shape = fc.record({
  fields,
  peer: pick(B.address, B.address, FAR, WORLD, OTHER_NODE),
  quoted: fc.option(quoted, { freq: 1 }),
  faults,
  /** Bytes that are cut off. */
  cut: pick(0, 0, 0, 1, 12, 24),
  kind: pick<PodProgram>("from_pod", "to_pod", "from_network"),
});
type Shape = typeof shape extends fc.Arbitrary<infer T> ? T : never;

/** A node whose pod A has flows with everybody. */
async function setUp(t: TestContext) {
  const node = makePolicyNode(t);
  node.policy.set(5, { in: ALLOW, out: ALLOW });
  node.policy.enforce(A.row, 5, 1);
  for (const target of [B.address, FAR, WORLD])
    for (const protocol of [TCP, UDP, ICMP])
      assert.notEqual(
        await node.run("from_pod", { target, protocol, ...(protocol === ICMP && { sourcePort: 0x0800 }) }),
        TcAction.Drop,
      );
  return node;
}

/** A frame that A sends, or is to get. */
function frameOf({ fields, peer, quoted: about, faults, cut, kind }: Shape): Buffer {
  const isSent = kind === "from_pod";
  const [source, target] = isSent ? [A.address, peer] : [peer, A.address];
  const sent = about && makePacket({ source: A.address, target: about.peer, protocol: about.protocol });
  const back =
    about &&
    makePacket({
      source: about.peer,
      target: A.address,
      protocol: about.protocol,
      sourcePort: PORT,
      targetPort: 40_000,
    });
  const bytes = about?.back === true ? back : sent;
  const frame = makePacket({
    ...fields,
    ...(bytes && { protocol: ICMP, quoted: quote(bytes), headerLength: 20 }),
    ...{ source, target, sourceMac: isSent ? A.mac : "02:00:00:00:00:aa" },
  });
  for (const { at, value } of faults) if (at < frame.length) frame[at] = value;
  return frame.subarray(0, Math.max(L4, frame.length - cut));
}

type Node = Awaited<ReturnType<typeof setUp>>;

/** True when the frame goes on: to a pod, to another node, or to the stack where no other program asks about it. */
async function passes(node: Node, frame: Buffer, { kind }: Shape): Promise<boolean> {
  const ifindex = kind === "from_network" ? UPLINK : A.ifindex;
  const { action, packet } = await node.runFrame(kind, frame, ifindex);
  if (isRefusal(packet)) return false;
  return kind === "from_network" ? action === TcAction.Redirect : action !== TcAction.Drop;
}

test("nothing passes a policy that allows nothing", { timeout: 120_000 }, async (t) => {
  const node = await setUp(t);
  node.policy.set(6, {});
  node.policy.enforce(A.row, 6, 2);
  await fc.assert(
    fc.asyncProperty(shape, async (given) => assert.equal(await passes(node, frameOf(given), given), false)),
    { numRuns: RUNS },
  );
});

test("nothing passes a policy that allows one port of a pod but packets to it, and errors about its answers", {
  timeout: 120_000,
}, async (t) => {
  const node = await setUp(t);
  node.policy.class(1, [{ protocol: TCP, port: PORT }]);
  node.policy.set(6, {});
  node.policy.peer(6, ID_B, { out: { class: 1 } });
  node.policy.enforce(A.row, 6, 2);
  /** Datagrams whose first fragment passed. */
  const begun = new Set<string>();
  const isAllowed = (frame: Buffer, { kind, peer, quoted }: Shape): boolean => {
    const protocol = frame[IP + 9];
    if (protocol === ICMP) return quoted?.protocol === TCP && quoted.peer === B.address;
    if (peer !== B.address || protocol !== TCP) return false;
    const [id, fragment] = [frame.readUInt16BE(IP + 4), frame.readUInt16BE(IP + 6)];
    const datagram = `${kind} ${id}`;
    if (fragment & 0x1fff) return begun.has(datagram);
    if (frame[IP] !== 0x45 || frame.readUInt16BE(kind === "from_pod" ? L4 + 2 : L4) !== PORT) return false;
    if (fragment & 0x2000) begun.add(datagram);
    return true;
  };
  let passed = 0;
  await fc.assert(
    fc.asyncProperty(shape, async (given) => {
      const frame = frameOf(given);
      const did = await passes(node, frame, given);
      passed += Number(did);
      assert.ok(!did || isAllowed(frame, given));
    }),
    { numRuns: RUNS },
  );
  assert.ok(passed > 0, "nothing passed");
});
