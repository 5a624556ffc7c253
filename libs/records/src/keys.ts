/**
 * Record keys, relative to their source's prefix:
 *
 *   identities/<number>                nodes/<node>                     endpoints/<ip>
 *   services/<ns>/<name>               slices/<ns>/<service>/<slice>
 *   service-configs/<ns>/<name>        node-configs/<node>
 *
 * A key has exactly one text: addresses in canonical form, numbers without leading zeros.
 */
import { formatIdentity, type IdentityNumber, parseIdentity } from "@isthmus/identity";
import { type Address, formatAddress, parseAddress, type ServiceName, serviceName } from "@isthmus/model";
import { Kind } from "@isthmus/proto";
import { kindOfKey } from "./kinds.js";

export type ParsedKey =
  | { readonly kind: Kind.KIND_IDENTITY; readonly identity: IdentityNumber }
  | { readonly kind: Kind.KIND_NODE | Kind.KIND_NODE_CONFIG; readonly node: string }
  | { readonly kind: Kind.KIND_ENDPOINT; readonly address: Address }
  | { readonly kind: Kind.KIND_SERVICE | Kind.KIND_SERVICE_CONFIG; readonly service: ServiceName }
  | { readonly kind: Kind.KIND_SLICE; readonly service: ServiceName; readonly slice: string };

export const identityKey = (identity: IdentityNumber): string => `identities/${formatIdentity(identity)}`;
export const nodeKey = (node: string): string => `nodes/${node}`;
export const endpointKey = (address: Uint8Array): string => `endpoints/${formatAddress(address)}`;
export const serviceKey = (service: ServiceName): string => `services/${service}`;
export const sliceKey = (service: ServiceName, slice: string): string => `slices/${service}/${slice}`;
export const serviceConfigKey = (service: ServiceName): string => `service-configs/${service}`;
export const nodeConfigKey = (node: string): string => `node-configs/${node}`;

/** Reads a relative key; undefined when it is not exactly what the functions above write. */
export function parseKey(key: string): ParsedKey | undefined {
  const kind = kindOfKey(key);
  if (kind === undefined) return undefined;
  const names = key.split("/").slice(1);
  if (names.length > 3 || !names.every(isObjectName)) return undefined;
  const [first = "", second = "", third = ""] = names;
  switch (kind) {
    case Kind.KIND_IDENTITY:
      return names.length === 1 ? attempt(() => ({ kind, identity: parseIdentity(first) })) : undefined;
    case Kind.KIND_ENDPOINT:
      return names.length === 1 ? parseEndpoint(first) : undefined;
    case Kind.KIND_NODE:
    case Kind.KIND_NODE_CONFIG:
      return names.length === 1 ? { kind, node: first } : undefined;
    case Kind.KIND_SERVICE:
    case Kind.KIND_SERVICE_CONFIG:
      return names.length === 2 ? { kind, service: serviceName(first, second) } : undefined;
    case Kind.KIND_SLICE:
      return names.length === 3 ? { kind, service: serviceName(first, second), slice: third } : undefined;
    default:
      return undefined;
  }
}

function parseEndpoint(text: string): ParsedKey | undefined {
  const address = attempt(() => parseAddress(text));
  return address !== undefined && formatAddress(address) === text ? { kind: Kind.KIND_ENDPOINT, address } : undefined;
}

/** DNS subdomain, or an address (which also holds colons). By hand: every record's key comes here twice. */
function isObjectName(text: string): boolean {
  const last = text.length - 1;
  if (last < 0 || last > 252) return false;
  for (let i = 0; i <= last; i++) {
    const char = text.charCodeAt(i);
    const inner = i > 0 && i < last && (char === DASH || char === DOT);
    if (!inner && !(char >= ZERO && char <= COLON) && !(char >= A && char <= Z)) return false;
  }
  return true;
}

const [DASH, DOT, ZERO, COLON, A, Z] = [0x2d, 0x2e, 0x30, 0x3a, 0x61, 0x7a];

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
