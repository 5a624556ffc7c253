/**
 * The desired routes of this node: one through the InternalIP of every other node, in every cluster, for each of its
 * pod CIDRs; and an unreachable route for each pod CIDR of this node, which the routes to its pods override. Pure.
 *
 * Without the unreachable route, a packet to an address that no pod has would leave by the default gateway, which sends
 * it back. If nodes claim the same CIDR, this node has precedence, then the local cluster's nodes, then the first by
 * name. CIDR and gateway are of the same family. A CIDR that is wider than any cluster's would cover addresses outside
 * of the mesh and is not routed.
 *
 * A node that changes costs work for its own CIDRs only.
 */
import { addressFromBytes, bytesKey, isV4, type Prefix } from "@isthmus/model";
import type { Node } from "@isthmus/proto";
import { podCidrsOf } from "@isthmus/records";
import type { NodeName } from "../desired/nodes/nodes.js";
import type { Route } from "./route.js";

export interface DesiredRoutes {
  /** Takes a node's record, undefined = it is gone. Returns the CIDRs whose route may have changed. */
  setNode(name: NodeName, node: Node | undefined): Iterable<Prefix>;
  /** The route of a CIDR; undefined = none is desired. */
  get(cidr: Prefix): Route | undefined;
}

/** What one node asks for. */
interface Claim {
  readonly name: NodeName;
  readonly route: Route;
}

/** `self`: this node, whose CIDRs get unreachable routes. No route is desired before the first `setNode`. */
export function createDesiredRoutes(self: NodeName): DesiredRoutes {
  const local = self.slice(0, self.indexOf("/") + 1);
  /** By `cidrKey`, the claim with precedence first. */
  const claims = new Map<string, Claim[]>();
  /** The CIDRs of each node that has some. */
  const cidrsOfNode = new Map<NodeName, Cidrs>();

  const rank = (name: NodeName): number => (name === self ? 0 : name.startsWith(local) ? 1 : 2);

  /** True when `a` has precedence over `b`. */
  function precedes(a: NodeName, b: NodeName): boolean {
    const [x, y] = [rank(a), rank(b)];
    return x === y ? a < b : x < y;
  }

  /** Where the claim of this node is in the list, or would be. */
  function placeOf(name: NodeName, list: readonly Claim[]): number {
    let [low, high] = [0, list.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = list[middle];
      if (other !== undefined && precedes(other.name, name)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  function withdraw(name: NodeName, cidr: string): void {
    const list = claims.get(cidr) ?? [];
    list.splice(placeOf(name, list), 1);
    if (list.length === 0) claims.delete(cidr);
  }

  return {
    get: (cidr) => claims.get(cidrKey(cidr))?.[0]?.route,
    setNode(name, node) {
      const before = cidrsOfNode.get(name) ?? NONE;
      for (const cidr of before.keys()) withdraw(name, cidr);
      const now = new Map<string, Prefix>();
      for (const route of node === undefined ? [] : name === self ? unreachableRoutes(node) : routesTo(node)) {
        const cidr = cidrKey(route.prefix);
        if (now.has(cidr)) continue;
        now.set(cidr, route.prefix);
        const list = claims.get(cidr) ?? [];
        list.splice(placeOf(name, list), 0, { name, route });
        claims.set(cidr, list);
      }
      if (now.size === 0) cidrsOfNode.delete(name);
      else cidrsOfNode.set(name, now);
      return new Map([...before, ...now]).values();
    },
  };
}

/** By `cidrKey`. */
type Cidrs = ReadonlyMap<string, Prefix>;
const NONE: Cidrs = new Map();

function cidrKey({ address, length }: Prefix): string {
  return bytesKey(Uint8Array.of(length, ...address));
}

function unreachableRoutes(node: Node): readonly Route[] {
  return podCidrsOf(node).map((prefix) => ({ prefix, via: undefined }));
}

function routesTo(node: Node): readonly Route[] {
  const gateways = node.addresses.filter((bytes) => bytes.length === 16).map(addressFromBytes);
  return podCidrsOf(node).flatMap((prefix): Route[] => {
    const via = gateways.find((each) => isV4(each) === isV4(prefix.address));
    return via === undefined ? [] : [{ prefix, via }];
  });
}
