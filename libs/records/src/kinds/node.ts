import { addressFromBytes, isV4, type Prefix, prefixContains, printable } from "@isthmus/model";
import { Kind, Node, RefusalReason } from "@isthmus/proto";
import { BOUNDS, checkList, checkNumber, checkText } from "../bounds.js";
import { prefixText, sorted } from "../canonical.js";
import type { PeerLimits } from "../types.js";
import { checkUnclaimed, firstFinding, formatBytes } from "./claims.js";
import { defineKind, type Finding } from "./record-kind.js";

/** Addresses keep their order, which is significant: InternalIP comes first. */
export const NODE_KIND = defineKind({
  kind: Kind.KIND_NODE,
  segment: "nodes",
  names: ["node"],
  exported: true,
  meaning: "A node: its addresses and pod CIDRs",
  parse: (node) => ({ kind: Kind.KIND_NODE, node }),
  message: Node,
  canonical: (node: Node) => ({ ...node, podCidrs: sorted(node.podCidrs, prefixText) }),
  bounds: (node) =>
    checkText("name", node.name, BOUNDS.objectName) ??
    checkList("addresses", node.addresses, BOUNDS.nodeAddresses) ??
    checkList("pod CIDRs", node.podCidrs, BOUNDS.nodeCidrs, ({ length }) =>
      checkNumber("prefix length", length, BOUNDS.prefix),
    ) ??
    checkText("zone", node.zone, BOUNDS.labelValue) ??
    checkText("region", node.region, BOUNDS.labelValue),
  check: (key, node, limits) => checkNode(key.node, node, limits),
  addresses: ({ addresses }) => addresses,
});

function checkNode(name: string, node: Node, limits: PeerLimits): Finding {
  if (node.name !== name)
    return [RefusalReason.REFUSAL_REASON_KEY_MISMATCH, `its value names node "${printable(node.name)}"`];
  const wide = node.podCidrs.find(
    (cidr) =>
      cidr.address.length !== 16 ||
      !limits.podCidrs.some((own) => own.length <= cidr.length && prefixContains(own, cidr.address)),
  );
  if (wide !== undefined) {
    return [
      RefusalReason.REFUSAL_REASON_ADDRESS_OUTSIDE_CIDR,
      `pod CIDR ${formatBytes(wide.address)} is outside what the peer may claim`,
    ];
  }
  const others = [node.tunnel, node.health].filter((address) => address.length > 0);
  return (
    firstFinding([...node.addresses, ...others], (address) => checkUnclaimed(address, limits)) ?? checkHealth(node)
  );
}

/** The health address is the node's own: a peer may not direct probes to what is no address of the node's pods. */
function checkHealth({ health, podCidrs }: Node): Finding {
  const isOwn = podCidrs.some(({ address, length }) =>
    prefixContains({ address: addressFromBytes(address), length }, health),
  );
  if (health.length === 0 || isOwn) return undefined;
  return [
    RefusalReason.REFUSAL_REASON_ADDRESS_OUTSIDE_CIDR,
    `health address ${formatBytes(health)} is outside the node's pod CIDRs`,
  ];
}

/** Of a node, by its name in Kubernetes. */
export const nodeKey = (node: string): string => `${NODE_KIND.segment}/${node}`;

/** A /8 of v4-mapped addresses. */
const MIN_LENGTH_V4 = 96 + 8;
const MIN_LENGTH_V6 = 16;

/** The pod CIDRs of a node that are one: neither of another length of address, nor so wide that they hold what is no pod's. */
export function podCidrsOf(node: Node): readonly Prefix[] {
  return node.podCidrs.flatMap(({ address, length }): Prefix[] => {
    if (address.length !== 16) return [];
    const base = addressFromBytes(address);
    return length < (isV4(base) ? MIN_LENGTH_V4 : MIN_LENGTH_V6) ? [] : [{ address: base, length }];
  });
}
