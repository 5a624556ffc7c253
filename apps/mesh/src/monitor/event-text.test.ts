/** What an operator reads of events. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress } from "@isthmus/model";
import {
  EventIdentity,
  EventsNotShown,
  FlowEvent,
  FlowEventKind,
  FlowEventPoint,
  FlowVerdict,
  PolicyDirection,
} from "@isthmus/proto";
import { jsonLine } from "../output/json.js";
import { golden } from "../testing/golden.js";
import { eventIdentities } from "./event-identities.js";
import { eventJson } from "./event-json.js";
import { eventLine, notShownLines } from "./event-text.js";

const TODAY = new Date("2026-03-08T03:20:00Z");
const at = (iso: string, ms = 0) => BigInt(Date.parse(iso) + ms) * 1000n;
const end = (ip: string, port: number, pod = "") => ({
  address: Buffer.from(parseAddress(ip)),
  port,
  namespace: pod === "" ? "" : "shop",
  pod,
});
const event = (fields: Parameters<typeof FlowEvent.fromPartial>[0]) =>
  FlowEvent.fromPartial({
    ...{ timeUs: at("2026-03-08T03:14:05.123Z"), kind: FlowEventKind.FLOW_EVENT_KIND_NEW, protocol: 6, tcpFlags: 2 },
    ...{ point: FlowEventPoint.FLOW_EVENT_POINT_FROM_POD, verdict: FlowVerdict.FLOW_VERDICT_DELIVERED, length: 60 },
    ...{ source: end("10.1.0.1", 40_000, "cart-0"), destination: end("10.1.0.2", 80, "web-0") },
    ...fields,
  });
const service = (name: string, ip = "10.96.0.10") => ({
  address: Buffer.from(parseAddress(ip)),
  port: 80,
  ...(name === "" ? {} : { namespace: "shop", name }),
});
const DROP = { kind: FlowEventKind.FLOW_EVENT_KIND_DROP, verdict: FlowVerdict.FLOW_VERDICT_DROPPED };
const AUDITED = { kind: FlowEventKind.FLOW_EVENT_KIND_AUDITED, verdict: FlowVerdict.FLOW_VERDICT_AUDIT };

const WEB_POLICY = { kind: "NetworkPolicy", namespace: "shop", name: "web" };
const WALL = { kind: "CiliumClusterwideNetworkPolicy", name: "wall" };
const INGRESS = PolicyDirection.POLICY_DIRECTION_INGRESS;
const EGRESS = PolicyDirection.POLICY_DIRECTION_EGRESS;
const [CART, WEB, FAR, WORLD, UNKNOWN] = [1_048_832, 1_048_833, 2_097_408, 4_293_918_976, 2_097_155];
const podLabels = (cluster: string, own: Readonly<Record<string, string>>) =>
  Object.entries({
    "io.kubernetes.pod.namespace": "shop",
    "io.cilium.k8s.policy.cluster": cluster,
    "io.cilium.k8s.policy.serviceaccount": "default",
    ...own,
    "io.cilium.k8s.namespace.labels.team": "a",
  }).map(([key, value]) => ({ key, value }));
const IDENTITIES = eventIdentities(
  [
    { number: CART, labels: podLabels("east", { app: "cart" }) },
    { number: WEB, labels: podLabels("east", { app: "web" }) },
    { number: FAR, labels: podLabels("west", { a: "1", b: "2", c: "3", d: "4", e: "5" }), moreLabels: 2 },
    { number: WORLD, labels: [{ key: "reserved:world" }], prefix: "203.0.113.0/24" },
  ].map((identity) => EventIdentity.fromPartial(identity)),
);
const known = (of: ReturnType<typeof end>, identity: number) => ({ ...of, identity });
const cart = known(end("10.1.0.1", 40_000, "cart-0"), CART);
const web = known(end("10.1.0.2", 80, "web-0"), WEB);
const denied = (dropReason: string, dropMeaning: string) => ({ ...DROP, dropReason, dropMeaning });
const INGRESS_DENIED = denied("ingress_denied", "policy of the pod that it is for does not allow the flow");
const EGRESS_DENIED = denied("egress_denied", "policy of the pod that sends it does not allow the flow");

/** Of flows that policy was asked about. */
const JUDGED: readonly FlowEvent[] = [
  event({
    ...{ source: known(end("10.2.0.9", 41_000), FAR), destination: web },
    policy: { direction: INGRESS, rule: 7, rules: [{ policy: WEB_POLICY, path: "spec.ingress[0]" }] },
  }),
  event({ source: cart, destination: web, policy: { direction: EGRESS, ofSource: true } }),
  event({
    ...{ ...INGRESS_DENIED, source: cart, destination: web },
    policy: { direction: INGRESS, isolating: [WEB_POLICY] },
  }),
  event({
    ...{ ...INGRESS_DENIED, source: known(end("10.2.0.9", 41_000), FAR), destination: web, limited: 12 },
    policy: {
      direction: INGRESS,
      isolating: [WEB_POLICY, ...["a", "b", "c"].map((name) => ({ ...WEB_POLICY, name }))],
      moreIsolating: 1,
    },
  }),
  event({
    ...{ ...EGRESS_DENIED, source: cart, destination: known(end("203.0.113.7", 443), WORLD) },
    policy: { direction: EGRESS, ofSource: true, rule: 9, rules: [{ policy: WALL, path: "spec.egressDeny[0]" }] },
  }),
  event({
    ...{ ...INGRESS_DENIED, source: web, destination: cart, tcpFlags: 16 },
    policy: { direction: INGRESS, ofSource: true, isolating: [WEB_POLICY] },
  }),
  event({
    ...denied("unknown_identity", "policy is asked about an address of a pod range of which nothing is known yet"),
    ...{ source: known(end("10.2.0.77", 41_000), UNKNOWN), destination: web },
    policy: { direction: INGRESS, isolating: [WEB_POLICY] },
  }),
  event({ ...INGRESS_DENIED, source: cart, destination: web, policy: { direction: INGRESS, rule: 7 } }),
  event({
    ...{ ...denied("port_taken", "a moved connect has the port"), source: cart, destination: web },
    policy: { direction: INGRESS, rule: 7, rules: [{ policy: WEB_POLICY, path: "spec.ingress[0]" }] },
  }),
  event({
    ...{ ...EGRESS_DENIED, service: service("web"), source: cart, destination: known(end("10.2.0.9", 8080), FAR) },
    policy: { direction: EGRESS, ofSource: true, isolating: [{ ...WEB_POLICY, name: "cart" }] },
  }),
  event({
    ...{ ...INGRESS_DENIED, ...AUDITED, source: cart, destination: web, limited: 3 },
    policy: { direction: INGRESS, isolating: [WEB_POLICY] },
  }),
  event({
    ...{ ...EGRESS_DENIED, ...AUDITED, source: cart, destination: known(end("203.0.113.7", 443), WORLD) },
    policy: { direction: EGRESS, ofSource: true, rule: 9, rules: [{ policy: WALL, path: "spec.egressDeny[0]" }] },
  }),
  event({ ...INGRESS_DENIED, ...AUDITED, source: cart, destination: web }),
];

const EVENTS: readonly FlowEvent[] = [
  event({ isn: 7 }),
  event({ verdict: FlowVerdict.FLOW_VERDICT_FORWARDED, destination: end("10.2.0.9", 80) }),
  event({
    ...{ source: end("10.2.0.9", 41_000), destination: end("10.1.0.1", 8080, "cart-0") },
    point: FlowEventPoint.FLOW_EVENT_POINT_FROM_NETWORK,
  }),
  event({ point: FlowEventPoint.FLOW_EVENT_POINT_TO_POD, verdict: FlowVerdict.FLOW_VERDICT_TO_STACK }),
  event({
    kind: FlowEventKind.FLOW_EVENT_KIND_PICKED_UP,
    ...{ tcpFlags: 16, verdict: FlowVerdict.FLOW_VERDICT_TO_STACK },
  }),
  event({ kind: FlowEventKind.FLOW_EVENT_KIND_CLOSED, tcpFlags: 17 }),
  event({ kind: FlowEventKind.FLOW_EVENT_KIND_CLOSED, tcpFlags: 4, isReply: true }),
  event({ protocol: 17, tcpFlags: 0, destination: end("10.2.0.10", 53) }),
  event({
    ...{ protocol: 1, tcpFlags: 0, icmpType: 8 },
    source: end("10.1.0.1", 9, "cart-0"),
    destination: end("10.2.0.9", 9),
  }),
  event({
    ...{ ...DROP, dropReason: "spoofed_source", dropMeaning: "the source address is not the pod's" },
    ...{ source: end("10.1.0.77", 40_000, "cart-0"), limited: 1234 },
  }),
  event({
    ...{ ...DROP, dropReason: "malformed", protocol: 0, timeUs: at("2026-03-07T23:59:59.999Z") },
    ...{ source: end("::", 0, "cart-0"), destination: end("::", 0) },
  }),
  event({ ...DROP, dropReason: "reason_of_an_older_agent", destination: end("fd00::1", 80) }),
  event({ service: service("web"), destination: end("10.1.0.2", 8080, "web-0") }),
  event({
    ...{ service: service("web"), destination: end("10.2.0.9", 8080) },
    ...{ kind: FlowEventKind.FLOW_EVENT_KIND_CLOSED, tcpFlags: 17 },
  }),
  event({ protocol: 17, tcpFlags: 0, service: service(""), destination: end("10.2.0.10", 53) }),
  event({ service: service("", "fd00::10"), destination: end("fd00::1", 8080) }),
  event({
    ...{ service: service("web"), destination: end("10.2.0.9", 8080), tcpFlags: 20, isReply: true },
    ...{ kind: FlowEventKind.FLOW_EVENT_KIND_MOVED, verdict: 0 as FlowVerdict },
    move: { reason: "refused", backend: end("10.1.0.2", 8080, "web-0"), sourcePort: 61_000 },
  }),
  event({
    ...{ service: service("web"), destination: end("10.2.0.9", 8080), kind: FlowEventKind.FLOW_EVENT_KIND_MOVED },
    move: { reason: "silent", backend: undefined, sourcePort: 61_001 },
  }),
];

test("each event is a line with source, destination, what happened, and the drop reason", () => {
  golden("monitor", EVENTS.map((each) => eventLine("w1", each, TODAY)).join(""));
});

test("a judged flow names the rule and the end that is no pod of the node; a denial names both ends and the policies", () => {
  golden("monitor-policy", JUDGED.map((each) => eventLine("w1", each, TODAY, IDENTITIES)).join(""));
  golden("monitor-policy-json", JUDGED.map((each) => jsonLine(eventJson("w1", each, IDENTITIES))).join(""));
});

test("labels and names of policies are printed on one line whatever is in them", () => {
  const forged = { number: CART, labels: [{ key: "app\n", value: "\u001b[2J" }], prefix: "" };
  const line = eventLine(
    "w1",
    event({
      ...INGRESS_DENIED,
      source: cart,
      destination: web,
      policy: { isolating: [{ kind: "K\n", name: "\u009b" }] },
    }),
    TODAY,
    eventIdentities([EventIdentity.fromPartial(forged)]),
  );
  assert.match(line, / \[app\\u\{a\}=\\u\{1b\}\[2J\] -> shop\/web-0:80 \[identity 1048833\] /);
  assert.match(line, /, no rule of K\\u\{a\} \\u\{9b\} allows it\n$/);
});

test("with -o json each event is a document on a line", () => {
  const text = EVENTS.map((each) => jsonLine(eventJson("w1", each))).join("");
  golden("monitor-json", text);
  for (const line of text.trimEnd().split("\n"))
    assert.equal((JSON.parse(line) as { schemaVersion: number }).schemaVersion, 1);
});

test("what is not shown is said with its number and the reason", () => {
  assert.deepEqual(notShownLines("w1", EventsNotShown.fromPartial({ limited: 1n, slow: 20n })), [
    "w1: 1 event of its pods not shown, above the limit of a pod and a reason\n",
    "w1: 20 events of its pods not shown, more than this command takes: narrow it by --from, --service, --node or --drops\n",
  ]);
});

test("values that this version does not know are shown as such", () => {
  const line = eventLine("w1", event({ kind: 77 as FlowEventKind, verdict: 78 as FlowVerdict, protocol: 99 }), TODAY);
  assert.match(line, / KIND-77 .* protocol 99, verdict 78\n$/);
  assert.match(jsonLine(eventJson("w1", event({ kind: 77 as FlowEventKind }))), /"kind":"unknown-77"/);
  const forged = eventLine("w1", event({ service: { ...service("web\u001b[2J"), namespace: "shop\n" } }), TODAY);
  assert.match(forged, / -> Service shop\\u\{a\}\/web\\u\{1b\}\[2J:80 \(/);
  assert.match(eventLine("w1", event({ timeUs: 2n ** 64n - 1n }), TODAY), /^1970-01-01T00:00:00.000Z /);
});
