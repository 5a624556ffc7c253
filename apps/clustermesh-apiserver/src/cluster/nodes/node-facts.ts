/** A Node → the facts that its records need (pure). */
import type { KubeNode, KubeObject } from "@isthmus/kube";
import { type Address, type Prefix, parseAddress, parsePrefix, prefixContains } from "@isthmus/model";
import { BOUNDS, NodeConditionBit } from "@isthmus/records";

/** Annotation of a Node with its health address, which health-addresses.ts writes. */
export const HEALTH_ADDRESS = "mesh.isthmus.io/health-address";

export interface NodeFacts {
  /** Name of the Node, by which the feed keeps it. */
  readonly name: string;
  /** InternalIP first, then the other addresses, as many as a record may have. */
  readonly addresses: readonly Address[];
  /** Ranges of this node alone, as many as a record may have; those that cannot be parsed are left out. */
  readonly podCidrs: readonly Prefix[];
  /** Of the annotation `HEALTH_ADDRESS`, when it is an address in one of `podCidrs`. */
  readonly health: Address | undefined;
  /** The Node has the annotation `HEALTH_ADDRESS`, whatever its value. */
  readonly hasHealthAnnotation: boolean;
  /** Label `topology.kubernetes.io/zone`; "" without it. */
  readonly zone: string;
  /** Label `topology.kubernetes.io/region`; "" without it. */
  readonly region: string;
  /** Bit 0 Ready, bit 1 unschedulable. */
  readonly conditions: number;
  /** From the labels and taints; "linux" when none of them says otherwise. */
  readonly platform: NodePlatform;
}

/** Only a Linux node has an agent; a virtual one (virtual-kubelet, Fargate) has no kernel that pods share. */
export type NodePlatform = "linux" | "windows" | "virtual";

const ADDRESS_TYPES = ["InternalIP", "ExternalIP"];

/** Never throws: an address or range that cannot be parsed is left out. */
export function nodeFacts(object: KubeObject): NodeFacts {
  const { metadata, spec, status } = object as KubeNode;
  const ready = status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true;
  const cidrs = spec?.podCIDRs ?? (spec?.podCIDR === undefined ? [] : [spec.podCIDR]);
  const podCidrs = cidrs.flatMap((text) => tolerant(parsePrefix, text)).slice(0, BOUNDS.nodeCidrs);
  const annotation = metadata.annotations?.[HEALTH_ADDRESS];
  const [health] = annotation === undefined ? [] : tolerant(parseAddress, annotation);
  return {
    name: metadata.name ?? "",
    addresses: ADDRESS_TYPES.flatMap((wanted) =>
      (status?.addresses ?? [])
        .filter(({ type }) => type === wanted)
        .flatMap(({ address }) => tolerant(parseAddress, address)),
    ).slice(0, BOUNDS.nodeAddresses),
    podCidrs,
    health: health !== undefined && isPodAddress(podCidrs, health) ? health : undefined,
    hasHealthAnnotation: annotation !== undefined,
    zone: metadata.labels?.["topology.kubernetes.io/zone"] ?? "",
    region: metadata.labels?.["topology.kubernetes.io/region"] ?? "",
    conditions:
      (ready ? NodeConditionBit.Ready : 0) | (spec?.unschedulable === true ? NodeConditionBit.Unschedulable : 0),
    platform: platformOf(metadata.labels ?? {}, spec?.taints ?? []),
  };
}

/** `address` of any length; only 16 bytes can be in a range. */
export function isPodAddress(podCidrs: readonly Prefix[], address: Uint8Array): boolean {
  return address.length === 16 && podCidrs.some((cidr) => prefixContains(cidr, address));
}

/** The kubelet sets the label for the operating system; a node without it counts as Linux, so that a missing agent is reported. */
function platformOf(
  labels: Readonly<Record<string, string>>,
  taints: readonly { readonly key: string }[],
): NodePlatform {
  const virtual =
    labels["type"] === "virtual-kubelet" ||
    labels["eks.amazonaws.com/compute-type"] === "fargate" ||
    taints.some(({ key }) => key === "virtual-kubelet.io/provider");
  if (virtual) return "virtual";
  return (labels["kubernetes.io/os"] ?? "linux") === "linux" ? "linux" : "windows";
}

function tolerant<T>(parse: (text: string) => T, text: string): T[] {
  try {
    return [parse(text)];
  } catch {
    return [];
  }
}
