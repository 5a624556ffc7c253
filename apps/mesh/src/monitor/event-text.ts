/** One event as a line for people (pure). */
import { formatAddress, isV4, lineText } from "@isthmus/model";
import {
  type EventsNotShown,
  type FlowEnd,
  type FlowEvent,
  FlowEventKind,
  FlowEventPoint,
  type FlowMove,
  type FlowService,
  FlowVerdict,
} from "@isthmus/proto";
import { counted } from "../output/units.js";
import { type EventIdentities, identityText, NO_IDENTITIES } from "./event-identities.js";
import { isDenied, policyText } from "./event-policy.js";

export const PROTOCOLS: Readonly<Record<number, string>> = { 1: "ICMP", 6: "TCP", 17: "UDP", 132: "SCTP" };
const TCP_FLAGS = ["FIN", "SYN", "RST", "PSH", "ACK", "URG"];
const KINDS: ReadonlyMap<FlowEventKind, string> = new Map([
  [FlowEventKind.FLOW_EVENT_KIND_NEW, "NEW"],
  [FlowEventKind.FLOW_EVENT_KIND_PICKED_UP, "PICKED-UP"],
  [FlowEventKind.FLOW_EVENT_KIND_CLOSED, "CLOSED"],
  [FlowEventKind.FLOW_EVENT_KIND_DROP, "DROP"],
  [FlowEventKind.FLOW_EVENT_KIND_MOVED, "MOVED"],
  [FlowEventKind.FLOW_EVENT_KIND_AUDITED, "AUDIT"],
]);
const VERDICTS: ReadonlyMap<FlowVerdict, string> = new Map([
  [FlowVerdict.FLOW_VERDICT_TO_STACK, "to the node's stack"],
  [FlowVerdict.FLOW_VERDICT_DELIVERED, "to the pod"],
  [FlowVerdict.FLOW_VERDICT_FORWARDED, "to another node"],
]);
/** `03:14:05.123Z w1 NEW shop/a:40000 -> 10.2.0.9:80 TCP SYN, to another node`; `today`: of the reader, UTC. `identities`: of the event's batch. */
export function eventLine(node: string, event: FlowEvent, today: Date, identities = NO_IDENTITIES): string {
  const kind = KINDS.get(event.kind) ?? `KIND-${event.kind}`;
  const [from, to] = [endText(event, event.source, identities), destinationText(event, identities)];
  const what = [protocolText(event), outcome(event)].filter((text) => text !== "").join(", ");
  return `${timeText(event.timeUs, today)} ${lineText(node)} ${kind} ${from} -> ${to} ${what}\n`;
}

function timeText(micros: bigint, today: Date): string {
  const iso = isoTime(micros);
  return iso.slice(0, 10) === today.toISOString().slice(0, 10) ? iso.slice(11) : iso;
}

/** RFC 3339 in milliseconds; a time that no clock has is the epoch. */
export function isoTime(micros: bigint): string {
  const ms = Number(micros / 1000n);
  return new Date(Number.isFinite(ms) && ms < 8.64e15 ? ms : 0).toISOString();
}

/** With its identity in square brackets, if it has no name, or if policy denied the flow. */
function endText(event: FlowEvent, end: FlowEnd | undefined, identities: EventIdentities): string {
  if (end === undefined) return "?";
  const identity = end.pod === "" || isDenied(event) ? identityText(end, identities) : undefined;
  return identity === undefined ? nameText(event, end) : `${nameText(event, end)} [${identity}]`;
}

/** The name of a pod, else the address. Of a drop both: the address is what the packet says. */
function nameText(event: FlowEvent, end: FlowEnd): string {
  const port = PORTS.has(event.protocol) ? end.port : undefined;
  const isKnown = end.address.some((byte) => byte !== 0);
  const address = isKnown ? addressText(end.address, port) : "?";
  if (end.pod === "") return lineText(address);
  const name = lineText(`${end.namespace}/${end.pod}`);
  if (event.dropReason === "spoofed_source" && end === event.source) return `${name} as ${address}`;
  return isKnown && port !== undefined ? `${name}:${port}` : name;
}

/** The Service that the source dialled, with its backend in brackets: `Service shop/web:80 (10.2.0.9:8080)`. */
function destinationText(event: FlowEvent, identities: EventIdentities): string {
  const end = endText(event, event.destination, identities);
  return event.service === undefined ? end : `Service ${serviceText(event.service)} (${end})`;
}

/** Its name, else its address. */
function serviceText({ address, port, namespace, name }: FlowService): string {
  return name === "" ? addressText(address, port) : lineText(`${namespace}/${name}:${port}`);
}

function addressText(address: Uint8Array, port: number | undefined): string {
  const text = formatAddress(address);
  if (port === undefined) return text;
  return isV4(address) ? `${text}:${port}` : `[${text}]:${port}`;
}

const PORTS: ReadonlySet<number> = new Set([6, 17, 132]);

function protocolText({ protocol, tcpFlags, icmpType, source }: FlowEvent): string {
  if (protocol === 0) return "";
  const name = PROTOCOLS[protocol] ?? `protocol ${protocol}`;
  if (protocol === 1)
    return `${name} ${icmpType === 8 ? "echo" : icmpType === 0 ? "echo reply" : `type ${icmpType}`} id ${source?.port ?? 0}`;
  return protocol === 6 ? `${name} ${flagNames(tcpFlags).join("-")}`.trimEnd() : name;
}

/** Names of the TCP flags that are set. */
export function flagNames(flags: number): readonly string[] {
  return TCP_FLAGS.filter((_, bit) => (flags & (1 << bit)) !== 0);
}

const MOVE_REASONS: ReadonlyMap<string, string> = new Map([
  ["refused", "refused"],
  ["unreachable", "unreachable"],
  ["no_route", "the pod is gone"],
  ["silent", "no answer"],
]);

/** Why a connect was moved, and where it goes: `refused: goes to shop/web-1:8080 from port 61000`. */
function moveText(event: FlowEvent, { reason, backend, sourcePort }: FlowMove): string {
  const why = MOVE_REASONS.get(reason) ?? lineText(reason);
  const to = backend === undefined ? "another backend" : nameText(event, backend);
  return `${why}: goes to ${to} from port ${sourcePort}`;
}

const DENIALS: ReadonlyMap<FlowEventKind, string> = new Map([
  [FlowEventKind.FLOW_EVENT_KIND_DROP, "dropped"],
  [FlowEventKind.FLOW_EVENT_KIND_AUDITED, "audited: would be denied"],
]);

function outcome(event: FlowEvent): string {
  if (event.move !== undefined) return moveText(event, event.move);
  const denial = DENIALS.get(event.kind);
  if (denial !== undefined) {
    const more = event.limited > 0 ? ` (${event.limited} more not shown)` : "";
    return `${denial}: ${lineText(event.dropReason)}${meaningText(event)}${more}`;
  }
  if (event.kind === FlowEventKind.FLOW_EVENT_KIND_CLOSED)
    return event.isReply ? "by the destination" : "by the source";
  const way = VERDICTS.get(event.verdict) ?? `verdict ${event.verdict}`;
  const seen = event.point === FlowEventPoint.FLOW_EVENT_POINT_TO_POD ? "from the node's stack to the pod" : undefined;
  const isOld = event.kind === FlowEventKind.FLOW_EVENT_KIND_PICKED_UP ? ", older than its entry" : "";
  const sent =
    event.point === FlowEventPoint.FLOW_EVENT_POINT_TO_NETWORK ? "from the node's stack to another node" : undefined;
  const policy = policyText(event);
  return `${seen ?? sent ?? way}${isOld}${policy === undefined ? "" : `, ${policy}`}`;
}

/** What a policy denied says more than the reason's sentence, but not that nothing is known of the other end. */
function meaningText(event: FlowEvent): string {
  const policy = isDenied(event) ? policyText(event) : undefined;
  const isSaid = policy !== undefined && event.dropReason !== "unknown_identity";
  return [isSaid ? "" : lineText(event.dropMeaning), policy ?? ""]
    .map((text) => (text === "" ? "" : `, ${text}`))
    .join("");
}

/** Sentences about events that no line shows, each with what it is that limits them. */
export function notShownLines(node: string, { limited, ringFull, late, slow }: EventsNotShown): readonly string[] {
  const reasons: readonly (readonly [bigint, string])[] = [
    [limited, "above the limit of a pod and a reason"],
    [ringFull, "the node's ring buffer was full"],
    [late, "the agent was late"],
    [slow, "more than this command takes: narrow it by --from, --service, --node or --drops"],
  ];
  return reasons.flatMap(([count, why]) =>
    count === 0n ? [] : [`${lineText(node)}: ${counted(count, "event")} of its pods not shown, ${why}\n`],
  );
}
