/**
 * One route of the agent to a node's pod CIDR, and its bytes as map keys (`bytesKey`).
 *
 * ```
 *   key = u8 kind | u8 prefix length | 16 bytes prefix       value = 16 bytes gateway, or nothing
 * ```
 * A CIDR may have a route of each kind in the kernel: one to its node, and an unreachable one.
 */
import type { rtnetlink } from "@isthmus/bpf";
import { type Address, addressFromBytes, bytesKey, keyBytes, type Prefix } from "@isthmus/model";

export interface Route {
  /** Its length is in bits of 128, so 96 more for IPv4. */
  readonly prefix: Prefix;
  /** Undefined = an unreachable route. */
  readonly via: Address | undefined;
}

/** Marks the agent's routes to other nodes (its routes to pods have 78). */
export const ROUTE_PROTOCOL = 77;

/** Metric of unreachable routes: any other route of the same CIDR, such as one of another network, takes precedence. */
const UNREACHABLE_METRIC = 1_000_000;

/** What a key begins with. */
const Kind = { Gateway: "g", Unreachable: "u" } as const;

/** Both keys that a route of this CIDR may have. */
export function routeKeys(prefix: Prefix): readonly [string, string] {
  const cidr = bytesKey(Uint8Array.of(prefix.length, ...prefix.address));
  return [Kind.Gateway + cidr, Kind.Unreachable + cidr];
}

/** Of the two keys of its CIDR, that of its kind. */
export function routeKey({ prefix, via }: Route): string {
  const [gateway, unreachable] = routeKeys(prefix);
  return via === undefined ? unreachable : gateway;
}

/** The gateway's bytes; "" for an unreachable route. */
export function routeValue({ via }: Route): string {
  return via === undefined ? "" : bytesKey(via);
}

/** The route of a key and its value. */
export function routeOf(key: string, value: string): Route {
  const bytes = keyBytes(key);
  const prefix = { address: addressFromBytes(bytes.subarray(2)), length: bytes[1] ?? 0 };
  return { prefix, via: value === "" ? undefined : addressFromBytes(keyBytes(value)) };
}

/** The route as rtnetlink has it; the kernel finds the device by the gateway. */
export function kernelRoute({ prefix, via }: Route): rtnetlink.Route {
  const kind = via === undefined ? "unreachable" : "unicast";
  const metric = via === undefined ? UNREACHABLE_METRIC : 0;
  return { prefix, kind, gateway: via, link: undefined, protocol: ROUTE_PROTOCOL, metric };
}
