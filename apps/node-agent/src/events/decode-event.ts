/**
 * Makes of an event's bytes what operators read: wall-clock time, names of pods, the flow's ends in the order in which it
 * began (pure).
 */
import { DropReasonHelp, EventFlag, EventKind, EventLimit, EventPoint, PacketEvent, Verdict } from "@isthmus/bpf";
import { type FlowEnd, FlowEvent, FlowEventKind, FlowEventPoint, FlowVerdict } from "@isthmus/proto";
import type { PodName, PodNames } from "./pod-names.js";

const KINDS: ReadonlyMap<number, FlowEventKind> = new Map([
  [EventKind.FlowNew, FlowEventKind.FLOW_EVENT_KIND_NEW],
  [EventKind.FlowPickedUp, FlowEventKind.FLOW_EVENT_KIND_PICKED_UP],
  [EventKind.FlowClosed, FlowEventKind.FLOW_EVENT_KIND_CLOSED],
  [EventKind.Drop, FlowEventKind.FLOW_EVENT_KIND_DROP],
]);
const POINTS: ReadonlyMap<number, FlowEventPoint> = new Map([
  [EventPoint.FromPod, FlowEventPoint.FLOW_EVENT_POINT_FROM_POD],
  [EventPoint.ToPod, FlowEventPoint.FLOW_EVENT_POINT_TO_POD],
  [EventPoint.FromNetwork, FlowEventPoint.FLOW_EVENT_POINT_FROM_NETWORK],
  [EventPoint.ToNetwork, FlowEventPoint.FLOW_EVENT_POINT_TO_NETWORK],
]);
const VERDICTS: ReadonlyMap<number, FlowVerdict> = new Map([
  [Verdict.Pass, FlowVerdict.FLOW_VERDICT_TO_STACK],
  [Verdict.Drop, FlowVerdict.FLOW_VERDICT_DROPPED],
  [Verdict.Deliver, FlowVerdict.FLOW_VERDICT_DELIVERED],
  [Verdict.Forward, FlowVerdict.FLOW_VERDICT_FORWARDED],
]);

/**
 * The event in `bytes` at `at`, of which `length` bytes are its. `offsetMicros`: wall clock minus monotonic clock.
 * Undefined for an event of another layout, which the programs of another version wrote.
 */
export function decodeEvent(
  bytes: Uint8Array,
  { at, length }: { readonly at: number; readonly length: number },
  offsetMicros: number,
  pods: Pick<PodNames, "byAddress" | "byDevice">,
): FlowEvent | undefined {
  if (length < PacketEvent.size) return undefined;
  const event = PacketEvent.decode(bytes, at);
  const kind = KINDS.get(event.kind);
  if (event.version !== EventLimit.Version || kind === undefined) return undefined;
  // What a pod sends is its own, whatever address it claims.
  const sender = event.point === EventPoint.FromPod ? pods.byDevice(event.ifindex) : pods.byAddress(event.source);
  const from = flowEnd(event.source, event.sourcePort, sender);
  const to = flowEnd(event.target, event.targetPort, pods.byAddress(event.target));
  const isReply = (event.flags & EventFlag.Reply) !== 0;
  const flow = FlowEvent.create();
  flow.timeUs = BigInt(Math.max(0, Math.round(Number(event.time) / 1000 + offsetMicros)));
  flow.kind = kind;
  flow.point = POINTS.get(event.point) ?? FlowEventPoint.FLOW_EVENT_POINT_UNSPECIFIED;
  flow.verdict = VERDICTS.get(event.verdict) ?? FlowVerdict.FLOW_VERDICT_UNSPECIFIED;
  flow.dropReason = event.reason === 0 ? "" : (DropReasonHelp.get(event.reason)?.name ?? `reason ${event.reason}`);
  flow.protocol = event.proto;
  flow.tcpFlags = event.tcp;
  flow.source = isReply ? to : from;
  flow.destination = isReply ? from : to;
  flow.icmpType = event.icmpType;
  flow.icmpCode = event.icmpCode;
  flow.length = event.length;
  flow.isReply = isReply;
  flow.limited = event.limited;
  flow.isn = event.isn;
  return flow;
}

function flowEnd(address: Uint8Array, port: number, pod: PodName | undefined): FlowEnd {
  return { address: Buffer.from(address), port, namespace: pod?.namespace ?? "", pod: pod?.name ?? "" };
}
