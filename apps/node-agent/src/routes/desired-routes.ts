/**
 * The routes of this node: every other node's pod CIDRs, of every cluster, through its InternalIP. Pure.
 *
 * Of two nodes that claim one CIDR the first by name has it. Families are not mixed.
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

export function desiredRoutes(nodes: ReadonlyMap<NodeName, Node>, self: NodeName): Routes {
  const routes = new Map<string, Route>();
  for (const name of [...nodes.keys()].sort()) {
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
    const gateway = gateways.find((each) => isV4(each) === isV4(base));
    if (gateway === undefined) return [];
    return [{ cidr: formatPrefix({ address: base, length }), via: formatAddress(gateway) }];
  });
}
