/** What policy decided about the packet of an event (pure). */
import { DropReason } from "@isthmus/bpf";
import { type Direction, parsePolicyKey } from "@isthmus/policy";
import { type FlowPolicy, PolicyDirection } from "@isthmus/proto";
import type { PolicyNames } from "./policy-names.js";

/** From an event of a packet that policy was asked about. */
export interface JudgedPacket {
  readonly source: Uint8Array;
  readonly target: Uint8Array;
  /** The policy of the packet's target was asked last, else that of its source. */
  readonly isTargetAsked: boolean;
  /** Of `DropReason`. */
  readonly reason: number;
  /** The packet's source is the destination of the flow. */
  readonly isReply: boolean;
  readonly rule: number;
}

/** Rules that share a number, and policies that isolate a pod, in one event. */
const MAX_RULES = 4;
const MAX_ISOLATING = 8;

const DENIALS: ReadonlyMap<number, Direction | undefined> = new Map([
  [DropReason.EgressDenied, "egress"],
  [DropReason.IngressDenied, "ingress"],
  // Denied in either direction.
  [DropReason.UnknownIdentity, undefined],
]);
const DIRECTIONS = {
  ingress: PolicyDirection.POLICY_DIRECTION_INGRESS,
  egress: PolicyDirection.POLICY_DIRECTION_EGRESS,
};

/**
 * An end is asked after the other one has allowed the flow, so the last one that was asked decided. A drop of an answer is `ingress`
 * of its source, as the flow is.
 */
export function flowPolicy(packet: JudgedPacket, names: PolicyNames): FlowPolicy {
  const { reason, rule: number } = packet;
  const ofSource = packet.isTargetAsked === packet.isReply;
  const isDenied = DENIALS.has(reason);
  const denied = DENIALS.get(reason);
  // After a denial, a packet of which nobody knows which end began its flow was asked about as an answer, too.
  const rules = number === 0 ? [] : names.rules(number).filter(({ direction }) => (denied ?? direction) === direction);
  const direction = denied ?? rules[0]?.direction ?? (ofSource ? "egress" : "ingress");
  const pod = packet.isTargetAsked ? packet.target : packet.source;
  const isolating = isDenied && number === 0 ? names.isolating(pod, direction) : [];
  return {
    direction: DIRECTIONS[direction],
    ofSource,
    rule: number,
    rules: rules.slice(0, MAX_RULES).map(({ policy, path }) => ({ policy: parsePolicyKey(policy), path })),
    isolating: isolating.slice(0, MAX_ISOLATING),
    moreIsolating: Math.max(0, isolating.length - MAX_ISOLATING),
  };
}
