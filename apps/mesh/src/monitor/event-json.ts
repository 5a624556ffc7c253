/** Events for `-o json`: one document a line (pure). */
import { formatAddress } from "@isthmus/model";
import {
  type FlowEnd,
  type FlowEvent,
  FlowEventKind,
  FlowEventPoint,
  type FlowMove,
  type FlowService,
  FlowVerdict,
} from "@isthmus/proto";
import { type EventIdentities, identityJson, NO_IDENTITIES } from "./event-identities.js";
import { policyJson } from "./event-policy.js";
import { flagNames, isoTime, PROTOCOLS } from "./event-text.js";

/** `FLOW_VERDICT_TO_STACK` as `to-stack`; a value without a name as `unknown-7`. */
function enumText(names: Readonly<Record<number, string>>, value: number, prefix: string): string {
  const name = names[value];
  if (name === undefined || value <= 0) return `unknown-${value}`;
  return name.slice(prefix.length).toLowerCase().replaceAll("_", "-");
}

/** The event's fields. `identities`: of its batch. */
export function eventJson(node: string, event: FlowEvent, identities: EventIdentities = NO_IDENTITIES): object {
  return {
    event: {
      time: isoTime(event.timeUs),
      node,
      kind: enumText(FlowEventKind, event.kind, "FLOW_EVENT_KIND_"),
      point: enumText(FlowEventPoint, event.point, "FLOW_EVENT_POINT_"),
      verdict: enumText(FlowVerdict, event.verdict, "FLOW_VERDICT_"),
      ...(event.dropReason === "" ? {} : { dropReason: event.dropReason }),
      source: endJson(event.source, identities),
      destination: endJson(event.destination, identities),
      ...(event.policy === undefined ? {} : { policy: policyJson(event, event.policy) }),
      ...(event.service === undefined ? {} : { service: serviceJson(event.service) }),
      ...(event.move === undefined ? {} : { move: moveJson(event.move) }),
      protocol: event.protocol === 0 ? "" : (PROTOCOLS[event.protocol] ?? String(event.protocol)),
      ...(event.protocol === 6 ? { tcpFlags: flagNames(event.tcpFlags) } : {}),
      ...(event.protocol === 1 ? { icmp: { type: event.icmpType, code: event.icmpCode } } : {}),
      length: event.length,
      isReply: event.isReply,
      limited: event.limited,
      ...(event.isn === 0 ? {} : { isn: event.isn }),
    },
  };
}

function endJson(end: FlowEnd | undefined, identities = NO_IDENTITIES): object {
  if (end === undefined) return {};
  const identity = end.identity === 0 ? {} : { identity: identityJson(end.identity, identities) };
  const pod = end.pod === "" ? {} : { namespace: end.namespace, pod: end.pod };
  return { address: formatAddress(end.address), port: end.port, ...pod, ...identity };
}

function moveJson({ reason, backend, sourcePort }: FlowMove): object {
  return { reason, ...(backend === undefined ? {} : { backend: endJson(backend) }), sourcePort };
}

function serviceJson({ address, port, namespace, name }: FlowService): object {
  return { address: formatAddress(address), port, ...(name === "" ? {} : { namespace, name }) };
}
