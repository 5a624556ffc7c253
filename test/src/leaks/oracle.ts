/**
 * What the policies of the leak test mean, read naively from their objects: only the fields that the test writes, one policy and
 * one pair of pods at a time. It shares no code with what it judges.
 */
export type Labels = Readonly<Record<string, string>>;

/** A pod as policies know it. */
export interface PodState {
  readonly cluster: string;
  readonly namespace: string;
  readonly namespaceLabels: Labels;
  readonly labels: Labels;
  readonly address: string;
}

/** Of an address of a cluster's pods it may be not known yet whose it is. */
export type Peer = PodState | { readonly unknownOf: string };

export type Direction = "ingress" | "egress";

export interface Port {
  readonly protocol: "TCP" | "UDP";
  readonly port: number;
}

export type PolicyKind = "NetworkPolicy" | "CiliumNetworkPolicy" | "CiliumClusterwideNetworkPolicy";

export interface PolicyObject {
  /** The cluster that it is in, whose pods it selects. */
  readonly cluster: string;
  readonly kind: PolicyKind;
  /** Of the pods that it selects; "" for a kind that is of no namespace, and selects pods of all. */
  readonly namespace: string;
  readonly name: string;
}

/** A part of a `spec`. */
export interface LabelSelector {
  readonly matchLabels?: Labels;
  readonly matchExpressions?: readonly { readonly key: string; readonly operator: "Exists" }[];
}

interface PeerOfNetworkPolicy {
  readonly podSelector?: LabelSelector;
  readonly namespaceSelector?: LabelSelector;
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] };
}

interface PortsOfNetworkPolicy {
  readonly protocol?: "TCP" | "UDP";
  readonly port: number;
  readonly endPort?: number;
}

interface RuleOfNetworkPolicy {
  readonly from?: readonly PeerOfNetworkPolicy[];
  readonly to?: readonly PeerOfNetworkPolicy[];
  readonly ports?: readonly PortsOfNetworkPolicy[];
}

/** `policyTypes` is always written. */
export interface NetworkPolicySpec {
  readonly podSelector: LabelSelector;
  readonly policyTypes: readonly ("Ingress" | "Egress")[];
  readonly ingress?: readonly RuleOfNetworkPolicy[];
  readonly egress?: readonly RuleOfNetworkPolicy[];
}

interface PortsOfCilium {
  readonly port: string;
  readonly endPort?: number;
  readonly protocol: "TCP" | "UDP" | "ANY";
}

/** Exactly one kind of peers, or none and no ports: such a rule allows nothing. */
interface RuleOfCilium {
  readonly fromEndpoints?: readonly LabelSelector[];
  readonly toEndpoints?: readonly LabelSelector[];
  readonly fromEntities?: readonly ("all" | "cluster")[];
  readonly toEntities?: readonly ("all" | "cluster")[];
  readonly fromCIDR?: readonly string[];
  readonly toCIDR?: readonly string[];
  readonly toPorts?: readonly { readonly ports: readonly PortsOfCilium[] }[];
}

export interface CiliumSpec {
  readonly endpointSelector: LabelSelector;
  readonly ingress?: readonly RuleOfCilium[];
  readonly egress?: readonly RuleOfCilium[];
  readonly ingressDeny?: readonly RuleOfCilium[];
  readonly egressDeny?: readonly RuleOfCilium[];
}

export type PolicySpec = NetworkPolicySpec | CiliumSpec;

/** What one policy says of a pod and a peer in one direction. */
export type Opinion =
  /** It does not select the pod, or not in this direction. */
  | "none"
  /** It selects the pod, and no rule of it is about this. */
  | "isolates"
  | "allows"
  | "denies";

export const NAMESPACE_KEY = "k8s:io.kubernetes.pod.namespace";
export const CLUSTER_KEY = "k8s:io.cilium.k8s.policy.cluster";

/** `spec` undefined: there is no such policy. */
export function opinionOf(
  of: PolicyObject,
  spec: PolicySpec | undefined,
  direction: Direction,
  pod: Pick<PodState, "cluster" | "namespace" | "labels">,
  peer: Peer,
  port: Port,
): Opinion {
  if (spec === undefined || !mayConcern(of, pod)) return "none";
  return "podSelector" in spec
    ? ofNetworkPolicy(of, spec, direction, pod, peer, port)
    : ofCilium(of, spec, direction, pod, peer, port);
}

/** False for pods of other clusters and namespaces, of which the policy says nothing. */
export function mayConcern(of: PolicyObject, pod: Pick<PodState, "cluster" | "namespace">): boolean {
  return pod.cluster === of.cluster && (of.namespace === "" || pod.namespace === of.namespace);
}

/** Of all policies: `allows`, or not. */
export function areAllowed(opinions: readonly Opinion[]): boolean {
  if (opinions.includes("denies")) return false;
  return opinions.includes("allows") || !opinions.includes("isolates");
}

function ofNetworkPolicy(
  of: PolicyObject,
  spec: NetworkPolicySpec,
  direction: Direction,
  pod: Pick<PodState, "labels">,
  peer: Peer,
  port: Port,
): Opinion {
  if (!matches(spec.podSelector, pod.labels)) return "none";
  if (!spec.policyTypes.includes(direction === "ingress" ? "Ingress" : "Egress")) return "none";
  const allows = (spec[direction] ?? []).some((rule) => {
    const peers = direction === "ingress" ? rule.from : rule.to;
    const hasPort =
      rule.ports === undefined ||
      rule.ports.some((one) => (one.protocol ?? "TCP") === port.protocol && isPort(one.port, one.endPort, port));
    return hasPort && (peers === undefined || peers.some((one) => isPeer(of, one, peer)));
  });
  return allows ? "allows" : "isolates";
}

/** Selectors mean pods of the policy's cluster only; ranges mean addresses, whoever has them. */
function isPeer(of: PolicyObject, wanted: PeerOfNetworkPolicy, peer: Peer): boolean {
  if ("unknownOf" in peer) return false;
  const { ipBlock, podSelector, namespaceSelector } = wanted;
  if (ipBlock !== undefined)
    return (
      isInRange(ipBlock.cidr, peer.address) && !(ipBlock.except ?? []).some((range) => isInRange(range, peer.address))
    );
  if (peer.cluster !== of.cluster) return false;
  const isOfNamespace =
    namespaceSelector === undefined
      ? peer.namespace === of.namespace
      : matches(namespaceSelector, peer.namespaceLabels);
  return isOfNamespace && (podSelector === undefined || matches(podSelector, peer.labels));
}

function ofCilium(
  of: PolicyObject,
  spec: CiliumSpec,
  direction: Direction,
  pod: Pick<PodState, "cluster" | "namespace" | "labels">,
  peer: Peer,
  port: Port,
): Opinion {
  if (!matches(spec.endpointSelector, ciliumLabels(pod))) return "none";
  const [allowing, denying] =
    direction === "ingress" ? [spec.ingress, spec.ingressDeny] : [spec.egress, spec.egressDeny];
  if (allowing === undefined && denying === undefined) return "none";
  const isAbout = (rule: RuleOfCilium) => isRuleAbout(of, rule, direction, peer, port);
  if (denying?.some(isAbout)) return "denies";
  return allowing?.some(isAbout) ? "allows" : "isolates";
}

function isRuleAbout(of: PolicyObject, rule: RuleOfCilium, direction: Direction, peer: Peer, port: Port): boolean {
  const hasPort =
    rule.toPorts === undefined ||
    rule.toPorts.some(({ ports }) =>
      ports.some(
        (one) =>
          (one.protocol === "ANY" || one.protocol === port.protocol) && isPort(Number(one.port), one.endPort, port),
      ),
    );
  if (!hasPort) return false;
  const [endpoints, entities, ranges] =
    direction === "ingress"
      ? [rule.fromEndpoints, rule.fromEntities, rule.fromCIDR]
      : [rule.toEndpoints, rule.toEntities, rule.toCIDR];
  if (endpoints !== undefined) return endpoints.some((selector) => isEndpoint(of, selector, peer));
  if (entities !== undefined) return entities.some((entity) => entity === "all" || clusterOf(peer) === of.cluster);
  // Ranges of this kind of policy never mean pods; a rule without peers is about everybody, if it has ports.
  return ranges === undefined && rule.toPorts !== undefined;
}

/** `end`: the last one of a range. */
function isPort(first: number, end: number | undefined, { port }: Port): boolean {
  return end === undefined ? port === first : first <= port && port <= end;
}

function clusterOf(peer: Peer): string {
  return "unknownOf" in peer ? peer.unknownOf : peer.cluster;
}

function isEndpoint(of: PolicyObject, selector: LabelSelector, peer: Peer): boolean {
  if ("unknownOf" in peer) return false;
  const asked = new Set([
    ...Object.keys(selector.matchLabels ?? {}),
    ...(selector.matchExpressions ?? []).map(({ key }) => key),
  ]);
  if (!asked.has(NAMESPACE_KEY) && of.namespace !== "" && peer.namespace !== of.namespace) return false;
  if (!asked.has(CLUSTER_KEY) && peer.cluster !== of.cluster) return false;
  return matches(selector, ciliumLabels(peer));
}

function ciliumLabels({ labels, namespace, cluster }: Pick<PodState, "cluster" | "namespace" | "labels">): Labels {
  return { ...labels, [NAMESPACE_KEY]: namespace, [CLUSTER_KEY]: cluster };
}

function matches({ matchLabels = {}, matchExpressions = [] }: LabelSelector, labels: Labels): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key }) => key in labels)
  );
}

/** IPv4: `10.0.0.0/8`. */
export function isInRange(range: string, address: string): boolean {
  const [base = "", length = "32"] = range.split("/");
  const size = 2 ** (32 - Number(length));
  return Math.floor(toNumber(base) / size) === Math.floor(toNumber(address) / size);
}

function toNumber(address: string): number {
  return address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
}
