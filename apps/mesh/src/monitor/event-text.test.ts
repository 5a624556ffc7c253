/** What an operator reads of events. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress } from "@isthmus/model";
import { EventsNotShown, FlowEvent, FlowEventKind, FlowEventPoint, FlowVerdict } from "@isthmus/proto";
import { jsonLine } from "../output/json.js";
import { golden } from "../testing/golden.js";
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
