/** A Node → the facts that its records need (pure). */
import type { KubeNode, KubeObject } from "@isthmus/kube";
import { type Address, type Prefix, parseAddress, parsePrefix } from "@isthmus/model";
import { BOUNDS, NodeConditionBit } from "@isthmus/records";

export interface NodeFacts {
  /** Name of the Node, by which the feed keeps it. */
  readonly name: string;
  /** InternalIP first, then the other addresses, as many as a record may have. */
  readonly addresses: readonly Address[];
  /** Ranges of this node alone, as many as a record may have; those that cannot be parsed are left out. */
  readonly podCidrs: readonly Prefix[];
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
  return {
    name: metadata.name ?? "",
    addresses: ADDRESS_TYPES.flatMap((wanted) =>
      (status?.addresses ?? [])
        .filter(({ type }) => type === wanted)
        .flatMap(({ address }) => tolerant(parseAddress, address)),
    ).slice(0, BOUNDS.nodeAddresses),
    podCidrs: cidrs.flatMap((text) => tolerant(parsePrefix, text)).slice(0, BOUNDS.nodeCidrs),
    zone: metadata.labels?.["topology.kubernetes.io/zone"] ?? "",
    region: metadata.labels?.["topology.kubernetes.io/region"] ?? "",
    conditions:
      (ready ? NodeConditionBit.Ready : 0) | (spec?.unschedulable === true ? NodeConditionBit.Unschedulable : 0),
    platform: platformOf(metadata.labels ?? {}, spec?.taints ?? []),
  };
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
