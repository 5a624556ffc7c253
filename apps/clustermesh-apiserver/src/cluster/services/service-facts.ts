/** The facts that are kept of a Service: those that its records and notes need, nothing else. */
import type { KubeObject, KubeService, MeshCondition } from "@isthmus/kube";
import { type Address, parseAddress, protocolNumber, SCTP, type ServiceName, serviceName } from "@isthmus/model";
import type { Label, Port } from "@isthmus/proto";
import { CONDITION_PREFIX } from "../../objects/conditions.js";
import { meshAnnotationsOnly } from "./annotations.js";

export interface ServiceFacts {
  /** As `namespace/name`. */
  readonly service: ServiceName;
  /** Another one when the Service is created again under its name; "" without one. */
  readonly uid: string;
  /** Seconds since the epoch. */
  readonly created: number;
  /** ClusterIPs; empty for headless and ExternalName Services, which have no frontend. */
  readonly frontends: readonly Address[];
  /** TCP and UDP ports. */
  readonly ports: readonly Port[];
  /** Ports that are not served, as `name/SCTP`. */
  readonly unserved: readonly string[];
  /** Sorted by key. */
  readonly labels: readonly Label[];
  /** Of the pods that it selects, sorted by key; empty without a selector, and of an ExternalName Service, which has no pods. */
  readonly selector: readonly Label[];
  /** As `meshAnnotationsOnly` returns them: sorted by name. */
  readonly annotations: Readonly<Record<string, string>>;
  /** `sessionAffinity` is "ClientIP". */
  readonly clientIpAffinity: boolean;
  /** `internalTrafficPolicy` is "Local". */
  readonly internalLocal: boolean;
  /** `externalTrafficPolicy` is "Local". */
  readonly externalLocal: boolean;
  /** As `30080/TCP`. */
  readonly nodePorts: readonly string[];
  /** `type` is "LoadBalancer". */
  readonly loadBalancer: boolean;
  /** There is at least one of `externalIPs`. */
  readonly externalIps: boolean;
  /** "" without one. */
  readonly trafficDistribution: string;
  /**
   * Another proxy serves it, by the label that kube-proxy and every conformant proxy obey (KEP-2447): any value, the empty one
   * included. Undefined without the label.
   */
  readonly otherProxy: string | undefined;
  /** `metadata.generation`; Kubernetes sets none on Services up to 1.34. */
  readonly generation: number | undefined;
  /** The conditions in its status whose type has CONDITION_PREFIX. */
  readonly conditions: readonly MeshCondition[];
}

const OTHER_PROXY = "service.kubernetes.io/service-proxy-name";
/** Shared by the many Services without conditions or node ports, since both lists are kept for each Service. */
const NO_CONDITIONS: readonly MeshCondition[] = [];
const NO_PORTS: readonly string[] = [];
const NO_LABELS: readonly Label[] = [];

/** Throws `ADDRESS` for a ClusterIP that is no IP address, which the Kubernetes API does not store. */
export function serviceFacts(object: KubeObject): ServiceFacts {
  const { metadata, spec, status } = object as KubeService;
  const conditions = status?.conditions?.filter(({ type }) => type.startsWith(CONDITION_PREFIX)) ?? NO_CONDITIONS;
  const service = serviceName(metadata.namespace ?? "", metadata.name ?? "");
  const ports = (spec?.ports ?? []).map((port) => ({
    name: port.name ?? "",
    protocol: protocolNumber(port.protocol ?? "TCP"),
    port: port.port,
  }));
  const served = (protocol: number | undefined): protocol is number => protocol !== undefined && protocol !== SCTP;
  return {
    service,
    uid: metadata.uid ?? "",
    created: Math.max(0, Math.floor(Date.parse(metadata.creationTimestamp ?? "") / 1000) || 0),
    frontends: spec?.type === "ExternalName" ? [] : clusterAddresses(spec),
    ports: ports.flatMap(({ protocol, ...port }) => (served(protocol) ? [{ ...port, protocol }] : [])),
    unserved: (spec?.ports ?? [])
      .filter((port) => !served(protocolNumber(port.protocol ?? "TCP")))
      .map((port) => `${port.name ?? port.port}/${port.protocol}`),
    labels: sortedLabels(metadata.labels),
    selector: spec?.type === "ExternalName" ? NO_LABELS : sortedLabels(spec?.selector),
    annotations: meshAnnotationsOnly(metadata.annotations),
    clientIpAffinity: spec?.sessionAffinity === "ClientIP",
    internalLocal: spec?.internalTrafficPolicy === "Local",
    externalLocal: spec?.externalTrafficPolicy === "Local",
    nodePorts: nodePorts(spec),
    loadBalancer: spec?.type === "LoadBalancer",
    externalIps: (spec?.externalIPs ?? []).length > 0,
    trafficDistribution: spec?.trafficDistribution ?? "",
    otherProxy: metadata.labels?.[OTHER_PROXY],
    generation: metadata.generation,
    conditions: conditions.length === 0 ? NO_CONDITIONS : conditions,
  };
}

function sortedLabels(labels: Readonly<Record<string, string>> | null | undefined): readonly Label[] {
  const keys = Object.keys(labels ?? {}).sort();
  return keys.length === 0 ? NO_LABELS : keys.map((key) => ({ key, value: labels?.[key] ?? "" }));
}

function nodePorts(spec: KubeService["spec"]): readonly string[] {
  const ports = (spec?.ports ?? []).flatMap(({ nodePort, protocol }) => (nodePort ? [`${nodePort}/${protocol}`] : []));
  const health = spec?.healthCheckNodePort;
  if (health !== undefined && health > 0) ports.push(`${health}/TCP`);
  return ports.length === 0 ? NO_PORTS : ports;
}

function clusterAddresses(spec: KubeService["spec"]): readonly Address[] {
  const texts = spec?.clusterIPs ?? (spec?.clusterIP === undefined ? [] : [spec.clusterIP]);
  return texts.filter((text) => text !== "" && text !== "None").map(parseAddress);
}
