/** Flows by any order of packets, against a model of what bpf/lib/conntrack.h says. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FlowFlag, FlowSent } from "./gen/index.js";
import { makePacket, TcpFlag } from "./testing/packets.js";
import { loadPodPrograms } from "./testing/pod-programs.js";
import { TcAction } from "./testing/skb-run.js";

const A = { address: "10.1.0.1", ifindex: 1, mac: "02:00:00:00:0a:01", hostMac: "02:00:00:00:0a:02" };
const B = { ...A, address: "10.1.0.2", mac: "02:00:00:00:0b:01" };
const { Initiator, ViaStack, PickedUp } = FlowFlag;
/** What packets may have; others change nothing. */
const FLAGS = [
  TcpFlag.Syn,
  TcpFlag.Syn | TcpFlag.Ack,
  TcpFlag.Ack,
  TcpFlag.Fin | TcpFlag.Ack,
  TcpFlag.Rst,
  TcpFlag.Rst | TcpFlag.Ack,
];

/** A packet from A or from B, by the program that gets it from the pod, or from the stack. */
interface Step {
  readonly fromB: boolean;
  readonly program: "from_pod" | "to_pod";
  readonly flags: number;
}

/** Flags of both directions, that of A first, and what each end has sent. */
interface Model {
  flags: [number, number];
  sent: [number, number];
}

/** The flow after the step, and whether the packet goes to a pod past the stack. */
function next(model: Model | undefined, { fromB, program, flags }: Step): { model: Model; delivered: boolean } {
  const [own, other] = fromB ? ([1, 0] as const) : ([0, 1] as const);
  const viaStack = program === "to_pod";
  const begins = (flags & (TcpFlag.Syn | TcpFlag.Ack)) === TcpFlag.Syn;
  const sent =
    (flags & TcpFlag.Syn ? FlowSent.Syn : 0) |
    (flags & TcpFlag.Fin ? FlowSent.Fin : 0) |
    (flags & TcpFlag.Rst ? FlowSent.Rst : 0) |
    (flags & (TcpFlag.Syn | TcpFlag.Rst) ? 0 : FlowSent.Data);
  const closing =
    model !== undefined &&
    (((model.sent[0] | model.sent[1]) & FlowSent.Rst) !== 0 || (model.sent[0] & model.sent[1] & FlowSent.Fin) !== 0);
  const pastOldStack =
    model !== undefined && !viaStack && (model.flags[own] & ViaStack) === 0 && (model.flags[other] & ViaStack) !== 0;
  if (model === undefined || (begins && (closing || pastOldStack))) {
    const both = begins ? 0 : ViaStack | PickedUp;
    const made: Model = { flags: [0, 0], sent: [0, 0] };
    made.flags[own] = both | Initiator;
    made.flags[other] = both | (viaStack ? ViaStack : 0);
    made.sent[own] = sent;
    return { model: made, delivered: !viaStack && begins };
  }
  const after: Model = { flags: [...model.flags], sent: [...model.sent] };
  after.sent[own] |= sent;
  if (viaStack) after.flags[other] |= ViaStack;
  return { model: after, delivered: !viaStack && (model.flags[own] & ViaStack) === 0 };
}

test("any order of packets leaves the flags that the model has, and each packet goes where it says", async (t) => {
  const step: fc.Arbitrary<Step> = fc.record({
    fromB: fc.boolean(),
    program: fc.constantFrom("from_pod", "from_pod", "to_pod"),
    flags: fc.constantFrom(...FLAGS),
  });
  const programs = loadPodPrograms(t, { flows: 64 });
  programs.addPod(A);
  programs.addPod(B);
  programs.addRange("10.1.0.0/16", 1);
  let port = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 20 }), async (steps) => {
      programs.forgetFlows();
      const own = { sourcePort: 1024 + (port++ % 50_000), targetPort: 80 };
      let model: Model | undefined;
      for (const each of steps) {
        const [from, to] = each.fromB ? [B, A] : [A, B];
        const ports = each.fromB ? { sourcePort: own.targetPort, targetPort: own.sourcePort } : own;
        const ends = { source: from.address, target: to.address, sourceMac: from.mac };
        const { action } = await programs.run(each.program, makePacket({ ...ends, ...ports, flags: each.flags }), {
          ifindex: A.ifindex,
        });
        const { model: after, delivered } = next(model, each);
        model = after;
        assert.equal(action, delivered ? TcAction.Redirect : TcAction.Unspecified, JSON.stringify(each));
        const [flow, ...more] = programs.flows();
        assert.deepEqual(more, []);
        assert.deepEqual(
          [...(flow?.flags ?? [])],
          [
            [`${A.address}:${own.sourcePort}`, model.flags[0]],
            [`${B.address}:80`, model.flags[1]],
          ],
        );
        assert.deepEqual([...(flow?.row.sent ?? [])], model.sent);
      }
    }),
    { numRuns: 200 },
  );
});
