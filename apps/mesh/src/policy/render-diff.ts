/** Prints `mesh policy diff`: as text, and as JSON. */
import { CLUSTER_LABEL, isReservedKey, NAMESPACE_LABEL } from "@isthmus/identity";
import { lineText } from "@isthmus/model";
import {
  type DiffPoliciesResponse,
  type FlipEnds,
  type FlipIdentity,
  type FlipPorts,
  type FlipReason,
  type FlipTotals,
  type IncompleteCluster,
  PeerState,
  PolicyAction,
  type PolicyDifference,
  PolicyDirection,
  type PolicyFlip,
  type PolicyName,
} from "@isthmus/proto";
import { peerStates } from "@isthmus/records";
import { counted } from "../output/units.js";
import { policyNameJson, policyNameText, ruleJson, ruleText } from "./names.js";
import { protocolText } from "./ports.js";

const INGRESS = PolicyDirection.POLICY_DIRECTION_INGRESS;
const EGRESS = PolicyDirection.POLICY_DIRECTION_EGRESS;
const NO_TOTALS: FlipTotals = { ingressPairs: 0n, egressPairs: 0n, moreFlips: 0 };

/** True when some verdict is another one. */
export function isDifferent({ denied = NO_TOTALS, allowed = NO_TOTALS }: DiffPoliciesResponse): boolean {
  return [denied, allowed].some(({ ingressPairs, egressPairs }) => ingressPairs + egressPairs > 0n);
}

/** What is denied first, since that is what breaks. */
export function diffText(answer: DiffPoliciesResponse): string {
  const { policies, flips, denied = NO_TOTALS, allowed = NO_TOTALS } = answer;
  const refused = policies.filter(({ findings }) => findings.length > 0);
  if (refused.length > 0) return refused.map(findingsText).join("");
  const heads = policies.map(policyText).join("");
  const incomplete = answer.incomplete.map(incompleteText).join("");
  if (!isDifferent(answer))
    return `${heads}\nNo difference: every pod${incomplete === "" ? "" : " that is known"} may do what it may do now\n${incomplete}`;
  const parts = [false, true].flatMap((isAllowed) => {
    const totals = isAllowed ? allowed : denied;
    const its = flips.filter((one) => one.allowed === isAllowed);
    return [INGRESS, EGRESS].map((direction) => {
      const pairs = direction === INGRESS ? totals.ingressPairs : totals.egressPairs;
      const shown = its.filter((one) => one.direction === direction);
      return pairs === 0n ? "" : `\n${headText(direction, isAllowed, pairs)}\n${shown.map(flipText).join("")}`;
    });
  });
  const more = denied.moreFlips + allowed.moreFlips;
  return [
    heads,
    ...parts,
    more === 0 ? "" : `\nNot shown: ${counted(more, "more group")} of pairs, since there are too many\n`,
    denied.ingressPairs + denied.egressPairs === 0n
      ? ""
      : "\nEstablished connections that would be denied end within a second of the change, too\n",
    incomplete === "" ? "" : `\n${incomplete}`,
  ].join("");
}

function incompleteText({ cluster, state }: IncompleteCluster): string {
  const why =
    state === PeerState.PEER_STATE_IN_SYNC
      ? "its apiserver is of an older version, which exports no identities"
      : `it is ${peerStates.name(state)}: see mesh status`;
  return `Not complete: identities of cluster "${lineText(cluster)}" may be missing or old, since ${why}\n`;
}

/** Fields may be added; changing one needs another `schemaVersion`. */
export function diffJson(answer: DiffPoliciesResponse): object {
  const { policies, flips, denied = NO_TOTALS, allowed = NO_TOTALS, incomplete } = answer;
  return {
    policies: policies.map(({ policy, action, findings, pods }) => ({
      ...policyNameJson(policy),
      action: ACTIONS.get(action)?.name ?? `unknown-${action}`,
      ...{ findings, pods },
    })),
    incomplete: incomplete.map(({ cluster, state }) => ({ cluster, state: peerStates.name(state) })),
    denied: totalsJson(denied),
    allowed: totalsJson(allowed),
    flips: flips.map((flip) => ({
      direction: directionName(flip.direction),
      verdict: flip.allowed ? "allowed" : "denied",
      subjects: endsJson(flip.subjects),
      peers: { ...endsJson(flip.peers), others: flip.peers?.others === true },
      ports: flip.ports.map(portsJson),
      morePorts: flip.morePorts,
    })),
  };
}

const ACTIONS: ReadonlyMap<PolicyAction, { readonly name: string; readonly says: string }> = new Map([
  [PolicyAction.POLICY_ACTION_CREATE, { name: "create", says: "would be created" }],
  [PolicyAction.POLICY_ACTION_CHANGE, { name: "change", says: "would be changed" }],
  [PolicyAction.POLICY_ACTION_KEEP, { name: "keep", says: "is in force with the same meaning" }],
  [PolicyAction.POLICY_ACTION_DELETE, { name: "delete", says: "would be deleted" }],
]);

function findingsText({ policy, findings }: PolicyDifference): string {
  const name = nameOf(policy);
  return findings.map((one) => `${name} would not be accepted: ${lineText(one)}\n`).join("");
}

function policyText({ policy, action, pods }: PolicyDifference): string {
  const says = ACTIONS.get(action)?.says ?? `unknown change ${action}`;
  const selects = pods === 0 ? "no pod" : counted(pods, "pod");
  return `${nameOf(policy)} ${says}${action === PolicyAction.POLICY_ACTION_KEEP ? "" : `; it selects ${selects}`}\n`;
}

function nameOf(policy: PolicyName | undefined): string {
  return policy === undefined ? "?" : policyNameText(policy);
}

function headText(direction: PolicyDirection, isAllowed: boolean, pairs: bigint): string {
  const turn = isAllowed ? "denied -> allowed" : "allowed -> denied";
  return `${direction === INGRESS ? "Ingress" : "Egress"}, ${turn}: ${counted(pairs, "pair")} of identities`;
}

function flipText(flip: PolicyFlip): string {
  const { direction, subjects, peers, morePorts } = flip;
  const [mine, other] = direction === INGRESS ? ["to", "from"] : ["from", "to"];
  return [
    `\n  ${mine.padEnd(5)} ${endsText(subjects)}`,
    `  ${other.padEnd(5)} ${endsText(peers)}`,
    ...portLines(flip),
    ...(morePorts === 0 ? [] : [`  and ${counted(morePorts, "more range")} of ports`]),
    "",
  ].join("\n");
}

/** An identity a line, and pods that have them. */
function endsText(ends: FlipEnds | undefined): string {
  if (ends === undefined) return "?";
  const { identities, moreIdentities, pods, morePods, others, auditedPods } = ends;
  const all = identities.length + moreIdentities;
  const now = all === 1 ? "1 identity" : `${all} identities`;
  const examples = [...pods.map(lineText), ...(morePods === 0 ? [] : [`${morePods} more`])];
  return [
    ...(others ? [`all that no rule tells apart, ${now} now:`] : []),
    ...identities.map(identityText),
    ...(moreIdentities === 0 ? [] : [`${moreIdentities} more`]),
    ...(examples.length === 0 ? [] : [`pods: ${examples.join(", ")}`]),
    ...(auditedPods === 0
      ? []
      : [`${auditedPods} of them in audit mode: what is denied passes there, and is reported`]),
  ].join("\n        ");
}

const APP_LABELS = ["app.kubernetes.io/name", "app", "k8s-app"];

/** `shop/web (app=web, cluster east, identity 1048832)`, `world (identity 2)`, `world in 203.0.113.0/24`. */
function identityText({ number, labels, moreLabels, prefix, cluster }: FlipIdentity): string {
  const value = (wanted: string) => labels.find(({ key }) => key === wanted)?.value;
  const own = labels.filter(({ key }) => !isReservedKey(key));
  const reserved = labels.filter(({ key }) => key.startsWith("reserved:")).map(({ key }) => key.slice(9));
  const app = APP_LABELS.map(value).find((one) => one !== undefined);
  const namespace = value(NAMESPACE_LABEL);
  const name = namespace === undefined ? reserved.join(" and ") || "unmanaged" : `${namespace}/${app ?? "*"}`;
  const details = [
    ...own.map(({ key, value: its }) => `${key}=${its}`),
    ...(moreLabels === 0 ? [] : [counted(moreLabels, "more label")]),
    ...[value(CLUSTER_LABEL) ?? cluster].filter((one) => one !== "").map((one) => `cluster ${one}`),
    ...(number === 0 ? [] : [`identity ${number}`]),
  ];
  const range = prefix === "" ? "" : ` in ${prefix}`;
  return lineText(`${name}${range}${details.length === 0 ? "" : ` (${details.join(", ")})`}`);
}

/** Ports with the same decisions are one line. */
function portLines({ ports, direction, allowed }: PolicyFlip): readonly string[] {
  const byDecisions = new Map<string, FlipPorts[]>();
  for (const one of ports) {
    const [before, after] = [reasonText(one.before, !allowed, direction), reasonText(one.after, allowed, direction)];
    const decisions = `    before: ${before}\n    after:  ${after}`;
    byDecisions.set(decisions, [...(byDecisions.get(decisions) ?? []), one]);
  }
  return [...byDecisions].map(([decisions, its]) => `  ports ${portsText(its)}\n${decisions}`);
}

/** `all`, or `TCP 80, 8000-8100; UDP; all protocols but TCP, UDP`: a protocol is written once, and alone for all of its ports. */
function portsText(ports: readonly FlipPorts[]): string {
  const byProtocol = new Map<string, string[]>();
  for (const one of ports) {
    const name = protocolsText(one);
    byProtocol.set(name, [...(byProtocol.get(name) ?? []), ...rangeText(one)]);
  }
  return [...byProtocol].map(([name, ranges]) => [name, ranges.join(", ")].join(" ").trim()).join("; ");
}

function protocolsText({ protocol, except }: FlipPorts): string {
  if (protocol !== 0) return protocolText(protocol);
  return except.length === 0 ? "all" : `all protocols but ${except.map(protocolText).join(", ")}`;
}

const ICMP_PROTOCOLS: readonly number[] = [1, 58];

/** None for all ports. Of ICMP the type is in the upper byte, the code in the lower one. */
function rangeText({ protocol, first, last }: FlipPorts): readonly string[] {
  if (first === 0 && last === 65535) return [];
  if (!ICMP_PROTOCOLS.includes(protocol)) return [first === last ? `${first}` : `${first}-${last}`];
  const [from, to] = [first >> 8, last >> 8];
  const isOfTypes = (first & 255) === 0 && (last & 255) === 255;
  if (isOfTypes) return [from === to ? `type ${from}` : `types ${from}-${to}`];
  const text = (port: number) => `type ${port >> 8} code ${port & 255}`;
  return [first === last ? text(first) : `${text(first)} to ${text(last)}`];
}

/** Neither rules nor policies: nothing isolates the pods. */
function reasonText(decision: FlipReason | undefined, allowed: boolean, direction: PolicyDirection): string {
  const { rules = [], isolating = [], moreIsolating = 0 } = decision ?? {};
  const verdict = allowed ? "allowed" : "denied";
  if (rules.length > 0) return `${verdict} by ${rules.map(ruleText).join(" or ")}`;
  if (isolating.length === 0) return `${verdict}, since no policy isolates the pods`;
  const more = moreIsolating === 0 ? "" : ` and ${moreIsolating} more`;
  return `${verdict}, since no ${directionName(direction)} rule of ${isolating.map(policyNameText).join(", ")}${more} allows it`;
}

function directionName(direction: PolicyDirection): string {
  if (direction === INGRESS) return "ingress";
  return direction === EGRESS ? "egress" : `unknown-${direction}`;
}

function totalsJson({ ingressPairs, egressPairs, moreFlips }: FlipTotals): object {
  return { ingressPairs, egressPairs, moreFlips };
}

function endsJson(ends: FlipEnds | undefined): object {
  if (ends === undefined) return {};
  const { identities, moreIdentities, pods, morePods, auditedPods } = ends;
  const audited = auditedPods === 0 ? {} : { auditedPods };
  return { identities: identities.map(identityJson), moreIdentities, pods, morePods, ...audited };
}

function identityJson({ number, labels, moreLabels, prefix, cluster }: FlipIdentity): object {
  return {
    ...(number === 0 ? {} : { number }),
    labels: Object.fromEntries(labels.map(({ key, value }) => [key, value])),
    ...(moreLabels === 0 ? {} : { moreLabels }),
    ...(prefix === "" ? {} : { prefix }),
    ...(cluster === "" ? {} : { unmanagedOf: cluster }),
  };
}

function portsJson({ protocol, except, first, last, before, after }: FlipPorts): object {
  return {
    ...(protocol === 0 ? { allProtocolsBut: except } : { protocol }),
    ...{ first, last },
    before: reasonJson(before),
    after: reasonJson(after),
  };
}

function reasonJson(decision: FlipReason | undefined): object {
  const { rules = [], isolating = [], moreIsolating = 0 } = decision ?? {};
  return {
    rules: rules.map(ruleJson),
    isolatedBy: isolating.map(policyNameJson),
    ...(moreIsolating === 0 ? {} : { moreIsolatedBy: moreIsolating }),
  };
}
