/**
 * The desired routes of this node: one through the InternalIP of every other node, in every cluster, for each of its
 * pod CIDRs; and an unreachable route for each pod CIDR of this node, which the routes to its pods override. Pure.
 *
 * Without the unreachable route, a packet to an address that no pod has would leave by the default gateway, which sends
 * it back. If nodes claim the same CIDR, this node has precedence, then the local cluster's nodes, then the first by
 * name. CIDR and gateway are of the same family. A CIDR that is wider than any cluster's would cover addresses outside
 * of the mesh and is not routed.
 */
import { addressFromBytes, formatAddress, formatPrefix, isV4, type Prefix } from "@isthmus/model";
import type { Node } from "@isthmus/proto";
import type { NodeName } from "../desired/nodes/nodes.js";

/** By `routeKey`. */
export type Routes = ReadonlyMap<string, Route>;

/** As ip(8) writes them. */
export interface Route {
  readonly cidr: string;
  /** The gateway; undefined = an unreachable route. */
  readonly via: string | undefined;
}

/** The route's selector in ip(8). A CIDR may have one route of each type. */
export function routeKey({ cidr, via }: Route): string {
  return via === undefined ? `unreachable ${cidr}` : cidr;
}

/** A /8 of v4-mapped addresses. */
const MIN_LENGTH_V4 = 96 + 8;
const MIN_LENGTH_V6 = 16;

export function desiredRoutes(nodes: ReadonlyMap<NodeName, Node>, self: NodeName): Routes {
  const routes = new Map<string, Route>();
  const taken = new Set<string>();
  const localPrefix = self.slice(0, self.indexOf("/") + 1);
  const [local, remote]: [NodeName[], NodeName[]] = [[], []];
  for (const name of [...nodes.keys()].sort()) {
    if (name !== self) (name.startsWith(localPrefix) ? local : remote).push(name);
  }
  for (const name of [self, ...local, ...remote]) {
    const node = nodes.get(name);
    if (node === undefined) continue;
    for (const route of name === self ? unreachableRoutes(node) : routesTo(node)) {
      if (taken.has(route.cidr)) continue;
      taken.add(route.cidr);
      routes.set(routeKey(route), route);
    }
  }
  return routes;
}

function unreachableRoutes(node: Node): readonly Route[] {
  return cidrsOf(node).map((cidr) => ({ cidr: formatPrefix(cidr), via: undefined }));
}

function routesTo(node: Node): readonly Route[] {
  const gateways = node.addresses.filter((bytes) => bytes.length === 16).map(addressFromBytes);
  return cidrsOf(node).flatMap((cidr): Route[] => {
    const gateway = gateways.find((each) => isV4(each) === isV4(cidr.address));
    return gateway === undefined ? [] : [{ cidr: formatPrefix(cidr), via: formatAddress(gateway) }];
  });
}

function cidrsOf(node: Node): readonly Prefix[] {
  return node.podCidrs.flatMap(({ address, length }): Prefix[] => {
    if (address.length !== 16) return [];
    const base = addressFromBytes(address);
    return length < (isV4(base) ? MIN_LENGTH_V4 : MIN_LENGTH_V6) ? [] : [{ address: base, length }];
  });
}
