/**
 * Makes of an event's bytes what operators read: wall-clock time, names of pods and Services, the flow's ends in the order
 * in which it began (pure).
 */
import {
  DropReason,
  DropReasonHelp,
  EventFlag,
  EventKind,
  EventLimit,
  EventPoint,
  MoveReasonHelp,
  PacketEvent,
  Verdict,
} from "@isthmus/bpf";
import {
  type FlowEnd,
  type FlowEvent,
  FlowEventKind,
  FlowEventPoint,
  type FlowMove,
  type FlowService,
  FlowVerdict,
} from "@isthmus/proto";
import type { BackendAddresses } from "./backend-addresses.js";
import { flowPolicy } from "./flow-policy.js";
import type { PodName, PodNames } from "./pod-names.js";
import type { PolicyNames } from "./policy-names.js";
import type { ServiceNames } from "./service-names.js";

const KINDS: ReadonlyMap<number, FlowEventKind> = new Map([
  [EventKind.FlowNew, FlowEventKind.FLOW_EVENT_KIND_NEW],
  [EventKind.FlowPickedUp, FlowEventKind.FLOW_EVENT_KIND_PICKED_UP],
  [EventKind.FlowClosed, FlowEventKind.FLOW_EVENT_KIND_CLOSED],
  [EventKind.Drop, FlowEventKind.FLOW_EVENT_KIND_DROP],
  [EventKind.Moved, FlowEventKind.FLOW_EVENT_KIND_MOVED],
  [EventKind.Audited, FlowEventKind.FLOW_EVENT_KIND_AUDITED],
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
  [Verdict.Refuse, FlowVerdict.FLOW_VERDICT_DROPPED],
  [Verdict.Deliver, FlowVerdict.FLOW_VERDICT_DELIVERED],
  [Verdict.Forward, FlowVerdict.FLOW_VERDICT_FORWARDED],
  [Verdict.Audit, FlowVerdict.FLOW_VERDICT_AUDIT],
]);

const AT = PacketEvent.offsets;

export interface EventNames {
  /** The pods of this node. */
  readonly pods: Pick<PodNames, "byAddress" | "byDevice">;
  /** The Services that they dial. */
  readonly services: ServiceNames;
  /** The backends that connects are moved to. */
  readonly backends: BackendAddresses;
  /** The policies that decide about them. */
  readonly policies: PolicyNames;
}

/**
 * The event of `length` bytes in `view` at `at`. `offsetMicros`: wall clock minus monotonic clock. Undefined for an event
 * of another layout, which the programs of another version wrote.
 *
 * It reads only what it needs: a generated decoder makes an object with copies of every field, and there may be 20,000
 * events a second.
 */
export function decodeEvent(
  view: DataView,
  { at, length }: { readonly at: number; readonly length: number },
  offsetMicros: number,
  { pods, services, backends, policies }: EventNames,
): FlowEvent | undefined {
  if (length < PacketEvent.size || view.getUint8(at + AT.version) !== EventLimit.Version) return undefined;
  const kind = KINDS.get(view.getUint8(at + AT.kind));
  if (kind === undefined) return undefined;
  const point = view.getUint8(at + AT.point);
  const [source, target] = [addressAt(view, at + AT.source), addressAt(view, at + AT.target)];
  // What a pod sends is its own, whatever address it claims.
  const sender =
    point === EventPoint.FromPod ? pods.byDevice(view.getUint32(at + AT.ifindex, true)) : pods.byAddress(source);
  const [fromIdentity, toIdentity] = [
    view.getUint32(at + AT.sourceIdentity, true),
    view.getUint32(at + AT.targetIdentity, true),
  ];
  const from = flowEnd(source, view.getUint16(at + AT.sourcePort), sender);
  const to = flowEnd(target, view.getUint16(at + AT.targetPort), pods.byAddress(target));
  const reason = view.getUint8(at + AT.reason);
  const { dropReason, dropMeaning } = dropText(reason);
  const wasAsked = fromIdentity !== 0 || toIdentity !== 0;
  if (wasAsked) {
    from.identity = fromIdentity || policies.identityAt(source);
    to.identity = toIdentity || policies.identityAt(target);
  }
  const isReply = (view.getUint8(at + AT.flags) & EventFlag.Reply) !== 0;
  const micros = (view.getUint32(at + AT.time, true) + view.getUint32(at + AT.time + 4, true) * 2 ** 32) / 1000;
  return {
    timeUs: BigInt(Math.max(0, Math.round(micros + offsetMicros))),
    kind,
    point: POINTS.get(point) ?? FlowEventPoint.FLOW_EVENT_POINT_UNSPECIFIED,
    verdict: VERDICTS.get(view.getUint8(at + AT.verdict)) ?? FlowVerdict.FLOW_VERDICT_UNSPECIFIED,
    dropReason,
    dropMeaning,
    protocol: view.getUint8(at + AT.proto),
    tcpFlags: view.getUint8(at + AT.tcp),
    source: isReply ? to : from,
    destination: isReply ? from : to,
    icmpType: view.getUint8(at + AT.icmpType),
    icmpCode: view.getUint8(at + AT.icmpCode),
    length: view.getUint16(at + AT.length),
    isReply,
    limited: view.getUint32(at + AT.limited, true),
    isn: view.getUint32(at + AT.isn),
    service: view.getUint32(at + AT.service, true) === 0 ? undefined : serviceOf(view, at, services),
    policy: wasAsked
      ? flowPolicy(
          {
            source,
            target,
            isTargetAsked: fromIdentity !== 0,
            reason,
            isReply,
            rule: view.getUint32(at + AT.rule, true),
          },
          policies,
        )
      : undefined,
    move: kind === FlowEventKind.FLOW_EVENT_KIND_MOVED ? flowMove(view, at, backends, pods) : undefined,
  };
}

function flowMove(view: DataView, at: number, backends: BackendAddresses, pods: Pick<PodNames, "byAddress">): FlowMove {
  const reason = view.getUint32(at + AT.moveReason, true);
  const backend = backends.byId(view.getUint32(at + AT.backend, true));
  return {
    reason: MoveReasonHelp.get(reason)?.name ?? `reason ${reason}`,
    backend: backend && flowEnd(backend.address, backend.port, pods.byAddress(backend.address)),
    sourcePort: view.getUint16(at + AT.wirePort),
  };
}

function serviceOf(view: DataView, at: number, services: ServiceNames): FlowService {
  const [address, port] = [addressAt(view, at + AT.vip), view.getUint16(at + AT.vipPort)];
  const service = services.byFrontend(address, port, view.getUint8(at + AT.proto));
  return { address, port, namespace: service?.namespace ?? "", name: service?.name ?? "" };
}

/** A copy: the batch that the view is of must not be kept by an event that is. */
function addressAt(view: DataView, at: number): Buffer {
  return Buffer.from(new Uint8Array(view.buffer, view.byteOffset + at, ADDRESS_BYTES));
}

const ADDRESS_BYTES = 16;

const NOT_DROPPED = { dropReason: "", dropMeaning: "" };

function dropText(reason: number): Pick<FlowEvent, "dropReason" | "dropMeaning"> {
  if (reason === DropReason.None) return NOT_DROPPED;
  const { name, text } = DropReasonHelp.get(reason) ?? { name: `reason ${reason}`, text: "" };
  return { dropReason: name, dropMeaning: text };
}

function flowEnd(address: Buffer, port: number, pod: PodName | undefined): FlowEnd {
  return { address, port, namespace: pod?.namespace ?? "", pod: pod?.name ?? "", identity: 0 };
}
