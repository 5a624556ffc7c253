/**
 * The routes of this node: every other node's pod CIDRs, of every cluster, through its InternalIP; and under its own pods'
 * routes, an unreachable one for its own CIDRs. Pure.
 *
 * Without the latter a packet to an address of no pod would leave by the default gateway, which sends it back. Of two
 * nodes that claim one CIDR this node has it, then that of the local cluster, then the first by name. Families are not mixed.
 * A CIDR that is wider than any cluster's is not routed: it would cover foreign addresses.
 */
import { addressFromBytes, formatAddress, formatPrefix, isV4, type Prefix } from "@isthmus/model";
import type { Node } from "@isthmus/proto";
import type { NodeName } from "../desired/nodes.js";

/** By `routeKey`. */
export type Routes = ReadonlyMap<string, Route>;

/** As ip(8) writes them. */
export interface Route {
  readonly cidr: string;
  /** The gateway; undefined: an unreachable route. */
  readonly via: string | undefined;
}

/** What ip(8) names the route by. A CIDR may have one route of each kind. */
export function routeKey({ cidr, via }: Route): string {
  return via === undefined ? `unreachable ${cidr}` : cidr;
}

/** Of v4-mapped addresses: a /8. */
const MIN_LENGTH_V4 = 96 + 8;
const MIN_LENGTH_V6 = 16;

export function desiredRoutes(nodes: ReadonlyMap<NodeName, Node>, self: NodeName): Routes {
  const routes = new Map<string, Route>();
  const taken = new Set<string>();
  const own = self.slice(0, self.indexOf("/") + 1);
  const [ours, others]: [NodeName[], NodeName[]] = [[], []];
  for (const name of [...nodes.keys()].sort()) {
    if (name !== self) (name.startsWith(own) ? ours : others).push(name);
  }
  for (const name of [self, ...ours, ...others]) {
    const node = nodes.get(name);
    if (node === undefined) continue;
    for (const route of name === self ? ownRoutes(node) : routesTo(node)) {
      if (taken.has(route.cidr)) continue;
      taken.add(route.cidr);
      routes.set(routeKey(route), route);
    }
  }
  return routes;
}

function ownRoutes(node: Node): readonly Route[] {
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
