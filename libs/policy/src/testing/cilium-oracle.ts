/**
 * What Cilium policies mean, from Cilium's documentation: pods, labels and addresses, one question at a time, without identities.
 * It shares no code with the engine.
 */
import { LOCAL, type TestPod, type TestSelector } from "./mesh.js";
import { contains, matches, type TestEnd } from "./oracle.js";

export interface TestCiliumPolicy {
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec: TestCiliumSpec;
}

export interface TestCiliumSpec {
  readonly endpointSelector: TestSelector;
  readonly enableDefaultDeny?: { readonly ingress?: boolean; readonly egress?: boolean };
  readonly ingress?: readonly TestCiliumRule[];
  readonly ingressDeny?: readonly TestCiliumRule[];
  readonly egress?: readonly TestCiliumRule[];
  readonly egressDeny?: readonly TestCiliumRule[];
}

export interface TestCiliumRule {
  readonly fromEndpoints?: readonly TestSelector[];
  readonly toEndpoints?: readonly TestSelector[];
  readonly fromEntities?: readonly string[];
  readonly toEntities?: readonly string[];
  readonly fromCIDRSet?: readonly TestCidr[];
  readonly toCIDRSet?: readonly TestCidr[];
  readonly toServices?: readonly TestToService[];
  readonly toPorts?: readonly { readonly ports: readonly TestCiliumPort[] }[];
}

export interface TestToService {
  readonly k8sService?: { readonly serviceName: string; readonly namespace?: string };
  readonly k8sServiceSelector?: { readonly selector: TestSelector; readonly namespace?: string };
}

/** Of the local cluster. */
export interface TestService {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Empty: it has none. */
  readonly selector: Readonly<Record<string, string>>;
  /** Of its EndpointSlices. */
  readonly addresses: readonly string[];
}

/** Those that `toServices` of every policy may mean. */
export const SERVICES: readonly TestService[] = [
  { namespace: "shop", name: "one", labels: { app: "a" }, selector: { app: "a" }, addresses: [] },
  { namespace: "bank", name: "one", labels: { app: "b", tier: "a" }, selector: { app: "a", tier: "b" }, addresses: [] },
  { namespace: "lab", name: "two", labels: { tier: "a" }, selector: { tier: "c" }, addresses: [] },
  // Some are addresses of pods in some meshes.
  { namespace: "shop", name: "two", labels: {}, selector: {}, addresses: ["10.0.0.5", "192.168.0.1", "fd00::5"] },
];

export interface TestCidr {
  readonly cidr: string;
  readonly except?: readonly string[];
}

export interface TestCiliumPort {
  readonly port: string;
  readonly protocol?: string;
}

const CLUSTER = "io.cilium.k8s.policy.cluster";

/** Whether these policies let `end` reach the pod, or the pod reach `end`; everything is allowed where none isolates. */
export function ciliumAllows(
  policies: readonly TestCiliumPolicy[],
  pod: TestPod,
  direction: "ingress" | "egress",
  end: TestEnd,
  protocol: string,
  port: number,
): boolean {
  const its = policies.filter(
    ({ metadata, spec }) =>
      pod.cluster === LOCAL &&
      (metadata.namespace === undefined || metadata.namespace === pod.namespace) &&
      matches(spec.endpointSelector, labelsOf(pod)),
  );
  const target = direction === "ingress" ? pod : end;
  const hits = (list: "ingress" | "ingressDeny" | "egress" | "egressDeny") =>
    its.some(({ metadata, spec }) =>
      (spec[list] ?? []).some((rule) => hasEnd(metadata.namespace, rule, end) && hasPort(rule, target, protocol, port)),
    );
  if (hits(direction === "ingress" ? "ingressDeny" : "egressDeny")) return false;
  const isIsolated = its.some(({ spec }) => {
    const deny = direction === "ingress" ? spec.ingressDeny : spec.egressDeny;
    return spec.enableDefaultDeny?.[direction] ?? (spec[direction] ?? []).length + (deny ?? []).length > 0;
  });
  return !isIsolated || hits(direction);
}

function labelsOf({ labels, cluster, namespace }: TestPod): Readonly<Record<string, string>> {
  return { ...labels, [CLUSTER]: cluster, "io.kubernetes.pod.namespace": namespace };
}

function hasEnd(namespace: string | undefined, rule: TestCiliumRule, end: TestEnd): boolean {
  const endpoints = rule.fromEndpoints ?? rule.toEndpoints;
  if (endpoints !== undefined)
    return endpoints.some((one) => typeof end !== "string" && isEndpoint(one, end, namespace));
  const entities = rule.fromEntities ?? rule.toEntities;
  if (entities !== undefined) return entities.some((one) => isEntity(one, end));
  if (rule.toServices !== undefined)
    return rule.toServices.some((one) => SERVICES.some((its) => isMeant(one, its, end)));
  const ranges = rule.fromCIDRSet ?? rule.toCIDRSet;
  if (ranges === undefined) return (rule.toPorts ?? []).length > 0;
  return ranges.some(
    ({ cidr, except = [] }) =>
      typeof end === "string" && contains(cidr, end) && !except.some((one) => contains(one, end)),
  );
}

function isEndpoint(selector: TestSelector, pod: TestPod, namespace: string | undefined): boolean {
  const keys = [...Object.keys(selector.matchLabels ?? {}), ...(selector.matchExpressions ?? []).map(({ key }) => key)];
  if (!keys.includes(CLUSTER) && pod.cluster !== LOCAL) return false;
  if (namespace !== undefined && !keys.includes("io.kubernetes.pod.namespace") && pod.namespace !== namespace)
    return false;
  return matches(selector, labelsOf(pod));
}

function isMeant({ k8sService, k8sServiceSelector }: TestToService, service: TestService, end: TestEnd): boolean {
  const namespace = (k8sService ?? k8sServiceSelector)?.namespace ?? "";
  if (namespace !== "" && namespace !== service.namespace) return false;
  if (k8sService !== undefined && k8sService.serviceName !== service.name) return false;
  if (k8sServiceSelector !== undefined && !matches(k8sServiceSelector.selector, service.labels)) return false;
  if (typeof end === "string") return service.addresses.includes(end);
  const isSelected = Object.entries(service.selector).every(([key, value]) => end.labels[key] === value);
  const hasSelector = Object.keys(service.selector).length > 0;
  return hasSelector && isSelected && end.namespace === service.namespace && end.cluster === LOCAL;
}

function isEntity(name: string, end: TestEnd): boolean {
  if (name === "all") return true;
  if (name === "world") return typeof end === "string";
  if (name === "cluster") return typeof end !== "string" && end.cluster === LOCAL;
  return name === "cluster-mesh" && typeof end !== "string";
}

function hasPort({ toPorts = [] }: TestCiliumRule, target: TestEnd, protocol: string, port: number): boolean {
  if (toPorts.length === 0) return true;
  return toPorts.some(({ ports }) =>
    ports.some((one) => {
      if (one.protocol !== undefined && one.protocol !== "ANY" && one.protocol !== protocol) return false;
      if (/^\d+$/.test(one.port)) return one.port === "0" || Number(one.port) === port;
      const named = typeof target === "string" ? [] : target.ports;
      return named.some((its) => its.name === one.port && its.protocol === protocol && its.port === port);
    }),
  );
}
