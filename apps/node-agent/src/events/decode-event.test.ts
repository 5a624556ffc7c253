/** From the bytes of an event to what operators read. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  DropReason,
  EventFlag,
  EventKind,
  EventLimit,
  EventPoint,
  MoveReason,
  PacketEvent,
  Verdict,
} from "@isthmus/bpf";
import { bytesKey, formatAddress, parseAddress, parseClusterId } from "@isthmus/model";
import { unmanagedIdentity } from "@isthmus/identity";
import { lookUp } from "@isthmus/policy";
import { type FlowEnd, FlowEventKind, FlowEventPoint, FlowVerdict, PolicyDirection } from "@isthmus/proto";
import { decodeEvent } from "./decode-event.js";
import { createPodNames } from "./pod-names.js";
import { CLIENT, makePolicyNames, WEB, WORLD_BLOCK } from "./testing/policy-names.js";
import { makeServiceNames } from "./testing/service-names.js";

const pods = createPodNames();
pods.set(11, { namespace: "shop", name: "a", addresses: [parseAddress("10.1.0.1")] });
pods.set(12, { namespace: "shop", name: "b", addresses: [parseAddress("10.1.0.2")] });
const { services } = makeServiceNames();
const { engine, policies } = makePolicyNames();
const backends = {
  byId: (id: number) => (id === 77 ? { address: Buffer.from(parseAddress("10.1.0.2")), port: 8080 } : undefined),
};

const EVENT: PacketEvent = {
  ...PacketEvent.decode(new Uint8Array(PacketEvent.size)),
  time: 5_000_000_000n,
  version: EventLimit.Version,
  kind: EventKind.FlowNew,
  point: EventPoint.FromPod,
  verdict: Verdict.Forward,
  proto: 6,
  tcp: 2,
  source: parseAddress("10.1.0.1"),
  target: parseAddress("10.2.0.9"),
  sourcePort: 40_000,
  targetPort: 80,
  ifindex: 11,
  length: 60,
  isn: 7,
};

function decode(event: Partial<PacketEvent> = {}, more = 0) {
  const bytes = PacketEvent.encode({ ...EVENT, ...event });
  return decodeEvent(new DataView(bytes.buffer), { at: 0, length: bytes.length + more }, 1_000_000, {
    pods,
    services,
    backends,
    policies,
  });
}

const text = (end: FlowEnd | undefined) =>
  end && `${end.namespace}/${end.pod} ${formatAddress(end.address)}:${end.port}`;

test("a pod of this node has its name, the other end its address; the time is the wall clock's", () => {
  const event = decode();
  assert.deepEqual([text(event?.source), text(event?.destination)], ["shop/a 10.1.0.1:40000", "/ 10.2.0.9:80"]);
  assert.deepEqual(
    [event?.kind, event?.point, event?.verdict, event?.timeUs, event?.isReply, event?.dropReason, event?.isn],
    [
      FlowEventKind.FLOW_EVENT_KIND_NEW,
      FlowEventPoint.FLOW_EVENT_POINT_FROM_POD,
      FlowVerdict.FLOW_VERDICT_FORWARDED,
      6_000_000n,
      false,
      "",
      7,
    ],
  );
});

test("the Service that a pod dialled has its name, or its address alone where no Service has it", () => {
  const dialled = { service: 7, backend: 3, vip: parseAddress("10.96.0.10"), vipPort: 80 };
  const service = (event: Partial<PacketEvent>) => {
    const found = decode({ ...dialled, ...event })?.service;
    return found && { ...found, address: formatAddress(found.address) };
  };
  assert.deepEqual(service({}), { address: "10.96.0.10", port: 80, namespace: "shop", name: "web" });
  assert.deepEqual(service({ vipPort: 81 }), { address: "10.96.0.10", port: 81, namespace: "", name: "" });
  assert.deepEqual(service({ proto: 17 }), { address: "10.96.0.10", port: 80, namespace: "", name: "" });
  assert.equal(service({ service: 0 }), undefined);
});

test("of an answer the ends are those of the flow", () => {
  const event = decode({
    ...{ kind: EventKind.FlowClosed, flags: EventFlag.Reply, point: EventPoint.FromNetwork, ifindex: 11 },
    ...{ source: parseAddress("10.2.0.9"), target: parseAddress("10.1.0.1"), sourcePort: 80, targetPort: 40_000 },
  });
  assert.deepEqual([text(event?.source), text(event?.destination)], ["shop/a 10.1.0.1:40000", "/ 10.2.0.9:80"]);
  assert.equal(event?.isReply, true);
});

test("a pod that forges its source is named by its device", () => {
  const event = decode({
    ...{ kind: EventKind.Drop, verdict: Verdict.Drop, reason: DropReason.SpoofedSource, limited: 3 },
    source: parseAddress("10.1.0.2"),
  });
  assert.equal(text(event?.source), "shop/a 10.1.0.2:40000");
  assert.deepEqual([event?.dropReason, event?.limited], ["spoofed_source", 3]);
  assert.match(event?.dropMeaning ?? "", /source address or MAC is not the pod's/);
});

test("an address that has another pod by now is that pod's, and a device that is gone has no name", () => {
  const names = createPodNames();
  names.set(1, { namespace: "n", name: "old", addresses: [parseAddress("10.1.0.9")] });
  names.set(2, { namespace: "n", name: "new", addresses: [parseAddress("10.1.0.9")] });
  names.delete(1);
  assert.equal(names.byAddress(parseAddress("10.1.0.9"))?.name, "new");
  assert.equal(names.byDevice(1), undefined);
  names.delete(2);
  assert.equal(names.byAddress(parseAddress("10.1.0.9")), undefined);
});

test("an event of another layout, of an unknown kind, or cut short is none", () => {
  assert.equal(decode({ version: EventLimit.Version + 1 }), undefined);
  assert.equal(decode({ kind: 99 }), undefined);
  assert.equal(decode({}, -1), undefined);
  assert.notEqual(decode({}, 8), undefined, "a longer one of the same version has fields that are not known yet");
  assert.equal(decode({ reason: 99 })?.dropReason, "reason 99");
  assert.equal(decode({ reason: 99 })?.dropMeaning, "");
});

test("a connect that was moved has its reason and the backend that it goes to", () => {
  const moved = { kind: EventKind.Moved, verdict: Verdict.Move, flags: EventFlag.Reply, point: EventPoint.FromNetwork };
  const ends = {
    source: parseAddress("10.2.0.9"),
    target: parseAddress("10.1.0.1"),
    sourcePort: 80,
    targetPort: 40_000,
  };
  const event = decode({ ...moved, ...ends, wirePort: 61_000, moveReason: MoveReason.Refused, backend: 77 });
  assert.deepEqual([text(event?.source), text(event?.destination)], ["shop/a 10.1.0.1:40000", "/ 10.2.0.9:80"]);
  const { reason, sourcePort, backend } = event?.move ?? {};
  assert.deepEqual([reason, sourcePort, text(backend)], ["refused", 61_000, "shop/b 10.1.0.2:8080"]);
  assert.equal(decode({ ...moved, moveReason: MoveReason.Silent, backend: 78 })?.move?.backend, undefined);
  assert.equal(decode()?.move, undefined);
});

const { POLICY_DIRECTION_INGRESS: INGRESS, POLICY_DIRECTION_EGRESS: EGRESS } = PolicyDirection;
const WEB_POLICY = { kind: "NetworkPolicy", namespace: "shop", name: "web" };
const WEB_TWICE = { kind: "CiliumNetworkPolicy", namespace: "shop", name: "web-twice" };
const WALL = { kind: "CiliumClusterwideNetworkPolicy", namespace: "", name: "wall" };

/** The number of the rule by which shop/b answers shop/a, as the maps have it. */
function ruleOf(direction: "ingress" | "egress", identity: typeof CLIENT, port: number): number {
  const set = engine.setOf(bytesKey(parseAddress("10.1.0.2")));
  assert.ok(set !== undefined);
  return lookUp(set, { direction, identity, protocol: 6, port }).rule;
}

/** A packet to shop/b, whose ingress was asked about. */
const toWeb = (event: Partial<PacketEvent>) =>
  decode({ target: parseAddress("10.1.0.2"), sourceIdentity: CLIENT, point: EventPoint.ToPod, ...event });
const drop = (reason: number) => ({ kind: EventKind.Drop, verdict: Verdict.Drop, reason });

test("of a flow that policy allowed, the identities of both ends are known, and the rule", () => {
  const event = toWeb({ rule: ruleOf("ingress", CLIENT, 80) });
  assert.deepEqual([event?.source?.identity, event?.destination?.identity], [CLIENT, WEB]);
  const { direction, ofSource, rules, isolating } = event?.policy ?? {};
  assert.deepEqual([direction, ofSource, isolating], [INGRESS, false, []]);
  assert.deepEqual(rules, [{ policy: WEB_POLICY, path: "spec.ingress[0]" }]);
});

test("an event of a packet that policy was not asked about has neither identities nor a policy", () => {
  const event = decode({ target: parseAddress("10.1.0.2") });
  assert.deepEqual([event?.source?.identity, event?.destination?.identity, event?.policy], [0, 0, undefined]);
});

test("a drop by no rule names the policies that isolate the pod in this direction, each once", () => {
  const event = toWeb({ ...drop(DropReason.IngressDenied), targetPort: 81 });
  const { direction, ofSource, rule, rules, isolating, moreIsolating } = event?.policy ?? {};
  assert.deepEqual([direction, ofSource, rule, rules, moreIsolating], [INGRESS, false, 0, [], 0]);
  assert.deepEqual(isolating, [WEB_TWICE, WEB_POLICY]);
});

test("a drop by a rule that denies names that, and the end whose egress it is of", () => {
  const rule = ruleOf("egress", WORLD_BLOCK, 443);
  assert.notEqual(rule, 0);
  const from = { source: parseAddress("10.1.0.2"), target: parseAddress("203.0.113.7"), ifindex: 12 };
  const event = decode({ ...from, ...drop(DropReason.EgressDenied), targetIdentity: WORLD_BLOCK, rule });
  assert.deepEqual([event?.source?.identity, event?.destination?.identity], [WEB, WORLD_BLOCK]);
  const { direction, ofSource, rules, isolating } = event?.policy ?? {};
  assert.deepEqual([direction, ofSource, isolating], [EGRESS, true, []]);
  assert.deepEqual(rules, [{ policy: WALL, path: "spec.egressDeny[0]" }]);
});

test("a dropped answer is of the ingress of the pod that sends it", () => {
  const from = { source: parseAddress("10.1.0.2"), target: parseAddress("10.1.0.1"), ifindex: 12 };
  const event = decode({ ...from, ...drop(DropReason.IngressDenied), targetIdentity: CLIENT });
  const { direction, ofSource, isolating } = event?.policy ?? {};
  assert.deepEqual([direction, ofSource, isolating?.[0]], [INGRESS, true, WEB_TWICE]);
});

test("an address of which nothing is known is denied in the direction of the pod that was asked", () => {
  const unknown = unmanagedIdentity(parseClusterId(2));
  const event = toWeb({ ...drop(DropReason.UnknownIdentity), sourceIdentity: unknown });
  assert.deepEqual(
    [event?.source?.identity, event?.policy?.direction, event?.policy?.ofSource],
    [unknown, INGRESS, false],
  );
});

test("a rule that is gone has its number and no name, and a pod has at most eight policies in an event", () => {
  const gone = toWeb({ rule: 12345 })?.policy;
  assert.deepEqual([gone?.direction, gone?.rule, gone?.rules], [INGRESS, 12345, []]);
  const from = { source: parseAddress("10.1.0.1"), targetIdentity: WEB };
  const many = decode({ ...from, ...drop(DropReason.EgressDenied) })?.policy;
  assert.deepEqual([many?.direction, many?.isolating.length, many?.moreIsolating], [EGRESS, 8, 2]);
});

test("what passed in audit mode is no drop, and says why it would be one", () => {
  const event = toWeb({
    kind: EventKind.Audited,
    verdict: Verdict.Audit,
    reason: DropReason.IngressDenied,
    targetPort: 81,
  });
  assert.deepEqual(
    [event?.kind, event?.verdict, event?.dropReason],
    [FlowEventKind.FLOW_EVENT_KIND_AUDITED, FlowVerdict.FLOW_VERDICT_AUDIT, "ingress_denied"],
  );
  const { direction, ofSource, isolating } = event?.policy ?? {};
  assert.deepEqual([direction, ofSource, isolating], [INGRESS, false, [WEB_TWICE, WEB_POLICY]]);
});
