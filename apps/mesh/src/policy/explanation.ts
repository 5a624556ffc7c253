/**
 * The verdict of `mesh policy explain`, from what the clusters of both ends answer (pure).
 *
 * Each end that is a pod has a view: what the policies of its cluster say, and what the maps of its node say. A flow passes if both
 * ends allow it, or do not and are in audit mode. A view in which policies and maps differ is a finding, whatever they say.
 */
import { identityCluster, identityLocal, RESERVED } from "@isthmus/identity";
import { formatAddress, lineText } from "@isthmus/model";
import { type EventIdentity, type ExplainPolicyResponse, MonitorState } from "@isthmus/proto";
import { whyNoAnswer } from "../access/why-no-answer.js";
import { labelsText } from "../identity/identity-text.js";
import { ruleText } from "./names.js";

/** An end of the flow. */
export interface FlowEnd {
  /** Name of its cluster; "": it is no pod that is known. */
  readonly cluster: string;
  /** Of the pod; "" with `cluster`. */
  readonly namespace: string;
  /** Its name; "" with `cluster`. */
  readonly pod: string;
  /** 16 bytes. */
  readonly address: Uint8Array;
}

/** What one end says. */
export interface EndView {
  /** As the pod sees the flow. */
  readonly direction: "egress" | "ingress";
  /** The pod whose end it is. */
  readonly pod: FlowEnd;
  /** Of its cluster, with a pod. */
  readonly answer: ExplainPolicyResponse;
}

/** A flow that was asked about. */
export interface Explanation {
  /** The pod that begins it. */
  readonly source: FlowEnd;
  /** A pod, or an address. */
  readonly destination: FlowEnd;
  /** IP protocol. */
  readonly protocol: number;
  /** As in `ExplainPolicyRequest`. */
  readonly port: number;
  /** The source's first; none for a pod that reaches itself. */
  readonly views: readonly EndView[];
  /** Why the end at the destination has no view though it is a pod; undefined: it has one, or is none. */
  readonly missing: string | undefined;
}

/** `audited`: policies deny what passes, because the pod is in audit mode. */
export type Verdict = "allowed" | "denied" | "audited" | "unknown";

/** What the policies say at one end. */
export function verdictAt({ answer: { policies } }: EndView): Verdict {
  if (policies === undefined) return "unknown";
  return policies.allowed ? "allowed" : policies.audited ? "audited" : "denied";
}

/** What the policies say of the flow, with the reason in words. */
export function verdictOf({ views, missing }: Explanation): { readonly verdict: Verdict; readonly why: string } {
  const denies = views.find((view) => verdictAt(view) === "denied");
  if (denies !== undefined) return { verdict: "denied", why: `${denies.direction} of ${podText(denies.pod)}` };
  const unknown = views.find((view) => verdictAt(view) === "unknown");
  if (unknown !== undefined)
    return {
      verdict: "unknown",
      why: `the identity of ${podText(unknown.pod)} is not known in ${unknown.answer.cluster} yet`,
    };
  if (missing !== undefined) return { verdict: "unknown", why: missing };
  const audited = views.find((view) => verdictAt(view) === "audited");
  if (audited !== undefined)
    return {
      verdict: "audited",
      why: `passes, ${podText(audited.pod)} is in audit mode and would deny the ${audited.direction}`,
    };
  return { verdict: "allowed", why: views.length === 0 ? "a pod always reaches itself" : "" };
}

/** Why the maps of the pod's node are not in the answer, and what to do; undefined: they are. */
export function mapsProblem({ answer: { node, maps } }: EndView): string | undefined {
  if (node === undefined || node.state === MonitorState.MONITOR_STATE_HEARD)
    return maps === undefined ? "its cluster did not say" : undefined;
  if (node.state === MonitorState.MONITOR_STATE_UNKNOWN) return "the cluster has no such node";
  return whyNoAnswer(node.state, lineText(node.message));
}

/** In which points the maps are not what the policies say; none without maps or without a decision. */
export function differences(view: EndView): readonly string[] {
  const { policies, maps, pod, other } = view.answer;
  if (policies === undefined || maps === undefined || mapsProblem(view) !== undefined) return [];
  if (maps.endpoint === 0)
    return ["the maps have no row for the pod: its agent has not attached it, or its address is another pod's"];
  const found: string[] = [];
  if (maps.identity !== 0 && maps.identity !== pod?.identity?.number)
    found.push(`the maps give the pod identity ${maps.identity}, its record ${pod?.identity?.number ?? "none"}`);
  const [inMaps, inRecords] = [maps.otherIdentity, other?.identity];
  if (maps.other !== undefined && !isSame(maps.other.identity, inMaps, inRecords))
    found.push(
      `the maps give the other end ${identityText(maps.other.identity, inMaps)}, records ${inRecords === undefined ? "none" : identityText(inRecords.number, inRecords)}`,
    );
  // Without a set the maps say nothing of it.
  if (maps.set !== 0 && maps.audited !== policies.audited)
    found.push(
      maps.audited
        ? "the pod is in audit mode in the maps and not by its record"
        : "the pod is in audit mode by its record and not in the maps",
    );
  if (maps.allowed !== policies.allowed)
    found.push(
      `the maps ${maps.allowed ? "allow" : "deny"} it, the policies ${policies.allowed ? "allow" : "deny"} it`,
    );
  else if (maps.rule !== policies.rule)
    found.push(`the rule in the maps is ${deciding(maps)}, that of the policies ${deciding(policies)}`);
  return found;
}

/** How far the node has applied each cluster of which it lacks something that the verdict depends on: `west up to 41 of 44, without …`. */
export function notApplied({ answer: { unapplied } }: EndView): readonly string[] {
  return unapplied.map(({ cluster, appliedRevision, revision, keys, more }) => {
    const names = `${keys.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
    return `${cluster} up to ${appliedRevision} of ${revision}, without ${names}`;
  });
}

/** Policies that are named as refused. */
const MAX_REFUSED = 3;

/** Policies that the node's agent refuses: what they replaced stays in force there. */
export function refusedPolicies({ answer: { refused } }: EndView): readonly string[] {
  const more = refused.length - MAX_REFUSED;
  return [...refused.slice(0, MAX_REFUSED).map(lineText), ...(more > 0 ? [`${more} more: see mesh policy list`] : [])];
}

/** True: policies and maps say the same at each end; undefined: some maps were not read. */
export function mapsAgree({ views }: Explanation): boolean | undefined {
  if (views.some((view) => differences(view).length > 0)) return false;
  return views.some((view) => mapsProblem(view) !== undefined) ? undefined : true;
}

/** The policies allow the flow, and the maps of both nodes say so, too. */
export function isAllowed(explanation: Explanation): boolean {
  return verdictOf(explanation).verdict === "allowed" && mapsAgree(explanation) === true;
}

/** `identity 2097408: namespace shop, app=web, cluster west` */
export function identityText(number: number, identity: EventIdentity | undefined): string {
  const labels = identity === undefined ? "" : labelsText(identity);
  // Of one node only: its number says nothing to anybody else.
  if (number === 0) return labels === "" ? "no identity" : labels;
  if (labels === "" && identityLocal(number) === RESERVED.unmanaged)
    return `identity ${number}: nothing is known of it but that it is in the pod ranges of cluster ${identityCluster(number)}`;
  return labels === "" ? `identity ${number}, whose labels are not known` : `identity ${number}: ${labels}`;
}

/** The rules with the number that decided, or that there is none. */
export function deciding({
  rule,
  rules,
}: {
  readonly rule: number;
  readonly rules: Parameters<typeof ruleText>[0][];
}): string {
  if (rule === 0) return "none";
  return rules.length === 0 ? `rule ${rule}, which is not known` : rules.map(ruleText).join(" or ");
}

/** `shop/web of west (10.2.1.7)`; the address of what is no pod. */
export function endText(end: FlowEnd): string {
  const address = formatAddress(end.address);
  return end.pod === "" ? address : `${podText(end)} of ${end.cluster} (${address})`;
}

/** `shop/web` */
export function podText({ namespace, pod }: FlowEnd): string {
  return `${namespace}/${pod}`;
}

/** Numbers of one node are compared by what they stand for. */
function isSame(number: number, inMaps: EventIdentity | undefined, inRecords: EventIdentity | undefined): boolean {
  if (inRecords === undefined) return true;
  if (inRecords.number !== 0) return number === inRecords.number;
  if (inMaps === undefined) return false;
  const text = ({ labels }: EventIdentity) => JSON.stringify(labels.map(({ key, value }) => [key, value]).sort());
  return text(inMaps) === text(inRecords) && inMaps.prefix === inRecords.prefix;
}
