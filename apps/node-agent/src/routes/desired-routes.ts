/**
 * The routes of this node: every other node's pod CIDRs, of every cluster, through its InternalIP. Pure.
 *
 * Of two nodes that claim one CIDR that of the own cluster has it, then the first by name. Families are not mixed. A CIDR
 * that is wider than any cluster's is not routed: it would be everybody's.
 */
import { addressFromBytes, formatAddress, formatPrefix, isV4 } from "@isthmus/model";
import type { Node } from "@isthmus/proto";
import type { NodeName } from "../desired/nodes.js";

/** CIDR to gateway, as ip(8) writes them. */
export type Routes = ReadonlyMap<string, Route>;

export interface Route {
  readonly cidr: string;
  readonly via: string;
}

/** Of v4-mapped addresses: a /8. */
const MIN_LENGTH_V4 = 96 + 8;
const MIN_LENGTH_V6 = 16;

export function desiredRoutes(nodes: ReadonlyMap<NodeName, Node>, self: NodeName): Routes {
  const routes = new Map<string, Route>();
  const own = self.slice(0, self.indexOf("/") + 1);
  const [ours, others]: [NodeName[], NodeName[]] = [[], []];
  for (const name of [...nodes.keys()].sort()) (name.startsWith(own) ? ours : others).push(name);
  for (const name of [...ours, ...others]) {
    const node = nodes.get(name);
    if (node === undefined || name === self) continue;
    for (const route of routesTo(node)) if (!routes.has(route.cidr)) routes.set(route.cidr, route);
  }
  return routes;
}

function routesTo(node: Node): readonly Route[] {
  const gateways = node.addresses.filter((bytes) => bytes.length === 16).map(addressFromBytes);
  return node.podCidrs.flatMap(({ address, length }): Route[] => {
    if (address.length !== 16) return [];
    const base = addressFromBytes(address);
    if (length < (isV4(base) ? MIN_LENGTH_V4 : MIN_LENGTH_V6)) return [];
    const gateway = gateways.find((each) => isV4(each) === isV4(base));
    if (gateway === undefined) return [];
    return [{ cidr: formatPrefix({ address: base, length }), via: formatAddress(gateway) }];
  });
}
