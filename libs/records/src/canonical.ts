/**
 * Encodes records canonically: repeated fields are sorted and duplicates dropped, so that two replicas that read the
 * same objects in any order write the same bytes. Readers never re-encode a record.
 */
import {
  type Backend,
  ClusterConfig,
  Endpoint,
  Identity,
  Kind,
  type NamedPort,
  Node,
  NodeConfig,
  type Port,
  type Prefix,
  Service,
  ServiceConfig,
  Slice,
} from "@isthmus/proto";
import { hashRecord } from "./hash.js";
import type { HashedRecord } from "./types.js";

/** Sorts labels by key and value. */
export function encodeIdentity(value: Identity): Uint8Array {
  return Identity.encode({ labels: sorted(value.labels, (label) => `${label.key}\0${label.value}`) }).finish();
}

/** Addresses keep their order, which is significant: InternalIP comes first. */
export function encodeNode(value: Node): Uint8Array {
  return Node.encode({ ...value, podCidrs: sorted(value.podCidrs, prefixText) }).finish();
}

/** Sorts ports by name, protocol and number. */
export function encodeEndpoint(value: Endpoint): Uint8Array {
  return Endpoint.encode({ ...value, ports: sorted(value.ports, namedPortText) }).finish();
}

/** Sorts ports by name, protocol and number, and frontends by address. */
export function encodeService(value: Service): Uint8Array {
  return Service.encode({
    ...value,
    ports: sorted(value.ports, portText),
    frontends: sorted(value.frontends, bytesText),
  }).finish();
}

/** Sorts ports, backends by address, and the zones of each hint. */
export function encodeSlice(value: Slice): Uint8Array {
  const backends = value.backends.map((backend) => ({
    ...backend,
    forZones: sorted(backend.forZones, (zone) => zone),
  }));
  return Slice.encode({
    ...value,
    ports: sorted(value.ports, portText),
    backends: sorted(backends, backendText),
  }).finish();
}

/** Tiers keep their order, which is significant. */
export function encodeServiceConfig(value: ServiceConfig): Uint8Array {
  return ServiceConfig.encode({
    ...value,
    weights: sorted(value.weights, (weight) => weight.cluster),
    notes: sorted(value.notes, (note) => note),
  }).finish();
}

/** Sorts both lists of ranges by address and length. */
export function encodeNodeConfig(value: NodeConfig): Uint8Array {
  return NodeConfig.encode({
    ...value,
    podCidrs: sorted(value.podCidrs, prefixText),
    serviceCidrs: sorted(value.serviceCidrs, prefixText),
  }).finish();
}

/** The value of a cluster's config key. */
export function encodeClusterConfig(value: ClusterConfig): Uint8Array {
  return ClusterConfig.encode({
    ...value,
    podCidrs: sorted(value.podCidrs, prefixText),
    serviceCidrs: sorted(value.serviceCidrs, prefixText),
  }).finish();
}

/** Builds records with canonical bytes. */
export const record = {
  identity: (key: string, value: Identity): HashedRecord => hashRecord(Kind.KIND_IDENTITY, key, encodeIdentity(value)),
  node: (key: string, value: Node): HashedRecord => hashRecord(Kind.KIND_NODE, key, encodeNode(value)),
  endpoint: (key: string, value: Endpoint): HashedRecord => hashRecord(Kind.KIND_ENDPOINT, key, encodeEndpoint(value)),
  service: (key: string, value: Service): HashedRecord => hashRecord(Kind.KIND_SERVICE, key, encodeService(value)),
  slice: (key: string, value: Slice): HashedRecord => hashRecord(Kind.KIND_SLICE, key, encodeSlice(value)),
  serviceConfig: (key: string, value: ServiceConfig): HashedRecord =>
    hashRecord(Kind.KIND_SERVICE_CONFIG, key, encodeServiceConfig(value)),
  nodeConfig: (key: string, value: NodeConfig): HashedRecord =>
    hashRecord(Kind.KIND_NODE_CONFIG, key, encodeNodeConfig(value)),
} as const;

/** Sorts by text and drops duplicates. Texts are compared by code unit, so the order is the same on every machine. */
function sorted<T>(values: readonly T[], text: (value: T) => string): T[] {
  const byText = new Map(values.map((value) => [text(value), value]));
  return [...byText.entries()].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map(([, value]) => value);
}

const bytesText = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const number = (value: number): string => String(value).padStart(10, "0");
const prefixText = (prefix: Prefix): string => `${bytesText(prefix.address)}/${number(prefix.length)}`;
const portText = (port: Port): string => `${port.name}\0${number(port.protocol)}\0${number(port.port)}`;
const namedPortText = (port: NamedPort): string => `${port.name}\0${number(port.protocol)}\0${number(port.port)}`;
/** Sorts by address; the other fields give backends with the same address a fixed order. */
const backendText = (backend: Backend): string =>
  `${bytesText(backend.address)}\0${number(backend.conditions)}\0${backend.podUid}\0${backend.node}\0${backend.hostname}\0${backend.zone}\0${number(backend.weight)}\0${backend.forZones.join(",")}`;
