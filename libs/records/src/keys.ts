/**
 * Record keys, relative to their source's prefix:
 *
 *   identities/<number>                nodes/<node>                     endpoints/<ip>
 *   services/<ns>/<name>               slices/<ns>/<service>/<slice>
 *   service-configs/<ns>/<name>        node-configs/<node>
 *
 * Each key has exactly one valid text: addresses are in canonical form, numbers have no leading zeros.
 */
import { formatIdentity, type IdentityNumber, parseIdentity } from "@isthmus/identity";
import { type Address, formatAddress, parseAddress, type ServiceName } from "@isthmus/model";
import { Kind } from "@isthmus/proto";
import { kindOfKey, kindSegment, namesInKey } from "./kinds.js";

const IDENTITIES = kindSegment(Kind.KIND_IDENTITY);
const NODES = kindSegment(Kind.KIND_NODE);
const ENDPOINTS = kindSegment(Kind.KIND_ENDPOINT);
const SERVICES = kindSegment(Kind.KIND_SERVICE);
const SLICES = kindSegment(Kind.KIND_SLICE);
const SERVICE_CONFIGS = kindSegment(Kind.KIND_SERVICE_CONFIG);
const NODE_CONFIGS = kindSegment(Kind.KIND_NODE_CONFIG);

export type ParsedKey =
  | { readonly kind: Kind.KIND_IDENTITY; readonly identity: IdentityNumber }
  | { readonly kind: Kind.KIND_NODE | Kind.KIND_NODE_CONFIG; readonly node: string }
  | { readonly kind: Kind.KIND_ENDPOINT; readonly address: Address }
  | { readonly kind: Kind.KIND_SERVICE | Kind.KIND_SERVICE_CONFIG; readonly service: ServiceName }
  | { readonly kind: Kind.KIND_SLICE; readonly service: ServiceName; readonly slice: string };

/** Of an identity: `identities/` and its number in decimal. */
export const identityKey = (identity: IdentityNumber): string => `${IDENTITIES}/${formatIdentity(identity)}`;
/** Of a node, by its name in Kubernetes. */
export const nodeKey = (node: string): string => `${NODES}/${node}`;
/** Of a pod's address, 16 bytes; written as `10.0.0.1` or `fd00::1`. */
export const endpointKey = (address: Uint8Array): string => `${ENDPOINTS}/${formatAddress(address)}`;
/** Of a Service. */
export const serviceKey = (service: ServiceName): string => `${SERVICES}/${service}`;
/** Of an EndpointSlice; its Service comes first, so that a Service's slices are neighbours. */
export const sliceKey = (service: ServiceName, slice: string): string => `${SLICES}/${service}/${slice}`;
/** Of how the local cluster consumes a Service; never in the store. */
export const serviceConfigKey = (service: ServiceName): string => `${SERVICE_CONFIGS}/${service}`;
/** Of what a node's agent needs to know of its own node; never in the store. */
export const nodeConfigKey = (node: string): string => `${NODE_CONFIGS}/${node}`;

/** Parses a relative key; undefined when it differs from what the functions above produce. */
export function parseKey(key: string): ParsedKey | undefined {
  const kind = kindOfKey(key);
  if (kind === undefined) return undefined;
  const first = key.indexOf("/") + 1;
  const second = key.indexOf("/", first) + 1;
  const third = second === 0 ? 0 : key.indexOf("/", second) + 1;
  const names = second === 0 ? 1 : third === 0 ? 2 : 3;
  if (names !== namesInKey(kind)) return undefined;
  if (!isObjectName(key, first, names === 1 ? key.length : second - 1)) return undefined;
  if (names > 1 && !isObjectName(key, second, names === 2 ? key.length : third - 1)) return undefined;
  if (names > 2 && !isObjectName(key, third, key.length)) return undefined;
  // Names are sliced out of the key without splitting "namespace/name", for speed: tens of thousands of keys are
  // parsed.
  switch (kind) {
    case Kind.KIND_IDENTITY:
      return attempt(() => ({ kind, identity: parseIdentity(key.slice(first)) }));
    case Kind.KIND_ENDPOINT:
      return parseEndpoint(key.slice(first));
    case Kind.KIND_NODE:
    case Kind.KIND_NODE_CONFIG:
      return { kind, node: key.slice(first) };
    case Kind.KIND_SERVICE:
    case Kind.KIND_SERVICE_CONFIG:
      return { kind, service: key.slice(first) as ServiceName };
    case Kind.KIND_SLICE:
      return { kind, service: key.slice(first, third - 1) as ServiceName, slice: key.slice(third) };
    default:
      return undefined;
  }
}

function parseEndpoint(text: string): ParsedKey | undefined {
  const address = attempt(() => parseAddress(text));
  return address !== undefined && formatAddress(address) === text ? { kind: Kind.KIND_ENDPOINT, address } : undefined;
}

/** True when `key[from, to)` is a DNS subdomain, or an address (which may have colons). */
function isObjectName(key: string, from: number, to: number): boolean {
  if (to <= from || to - from > 253) return false;
  for (let i = from; i < to; i++) {
    const char = key.charCodeAt(i);
    const inner = i > from && i < to - 1 && (char === DASH || char === DOT);
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
