/** What policy decided about an event's packet, for people and for `-o json` (pure). */
import { type FlowEvent, type FlowPolicy, FlowVerdict, PolicyDirection } from "@isthmus/proto";
import { policyNameJson, policyNameText, ruleJson, ruleText } from "../policy/names.js";

const DIRECTIONS: ReadonlyMap<PolicyDirection, "ingress" | "egress"> = new Map([
  [PolicyDirection.POLICY_DIRECTION_INGRESS, "ingress"],
  [PolicyDirection.POLICY_DIRECTION_EGRESS, "egress"],
]);
const DENIALS: ReadonlySet<string> = new Set(["egress_denied", "ingress_denied", "unknown_identity"]);
const DENYING: ReadonlySet<FlowVerdict> = new Set([FlowVerdict.FLOW_VERDICT_DROPPED, FlowVerdict.FLOW_VERDICT_AUDIT]);
const MAX_POLICIES = 3;

/** Policy does not allow the packet: it was dropped, or passed in audit mode. */
export function isDenied({ verdict, dropReason }: FlowEvent): boolean {
  return DENYING.has(verdict) && DENIALS.has(dropReason);
}

/**
 * `no ingress rule of NetworkPolicy shop/web allows it`, `denied by CiliumNetworkPolicy shop/cart spec.egressDeny[0]`, `allowed by
 * NetworkPolicy shop/web spec.ingress[0]`. Undefined: no policy was asked, its name is not known, or nothing isolates the pod.
 */
export function policyText(event: FlowEvent): string | undefined {
  const { policy } = event;
  if (policy === undefined) return undefined;
  const answer = isAnswer(policy) ? "; the packet is an answer" : "";
  if (policy.rules.length > 0)
    return `${isDenied(event) ? "denied" : "allowed"} by ${policy.rules.map(ruleText).join(" or ")}${answer}`;
  if (!isDenied(event) || policy.isolating.length === 0) return undefined;
  const shown = policy.isolating.slice(0, MAX_POLICIES).map(policyNameText);
  const more = policy.isolating.length - shown.length + policy.moreIsolating;
  const names = `${shown.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
  const direction = DIRECTIONS.get(policy.direction);
  return `no ${direction === undefined ? "" : `${direction} `}rule of ${names} allows it${answer}`;
}

/** The packet goes against the flow: policy of a pod that it leaves is asked about ingress, or the other way round. */
function isAnswer({ direction, ofSource }: FlowPolicy): boolean {
  const natural = ofSource ? PolicyDirection.POLICY_DIRECTION_EGRESS : PolicyDirection.POLICY_DIRECTION_INGRESS;
  return DIRECTIONS.has(direction) && direction !== natural;
}

/** Without what it does not have. */
export function policyJson(event: FlowEvent, policy: FlowPolicy): object {
  const { direction, ofSource, rule, rules, isolating, moreIsolating } = policy;
  return {
    direction: DIRECTIONS.get(direction) ?? `unknown-${direction}`,
    pod: ofSource ? "source" : "destination",
    allowed: !isDenied(event),
    ...(rule === 0 ? {} : { rule, rules: rules.map(ruleJson) }),
    ...(isolating.length === 0 ? {} : { isolatedBy: isolating.map(policyNameJson) }),
    ...(moreIsolating === 0 ? {} : { moreIsolatedBy: moreIsolating }),
  };
}
