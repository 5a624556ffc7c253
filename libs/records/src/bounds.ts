/**
 * Size limits of each part of a record, shared by exporters and readers.
 *
 * They are Kubernetes' limits where those exist, otherwise limits that no real cluster comes near. A reader refuses a
 * record above them; an exporter leaves such a record out. They limit sizes only: unknown bits, enum values and
 * protocols are accepted, because a newer cluster may send them. A later version may raise a bound, but never lower it.
 */
import type { NamedPort, Port } from "@isthmus/proto";

export const BOUNDS = {
  /** Bytes of a record's key; the longest possible key has 768. */
  key: 1024,
  /** Bytes of a record's value; an EndpointSlice of 1,000 endpoints is about 120 KB. */
  value: 512 * 1024,
  /** Bytes of a head, and of a claim of a cluster id. */
  meta: 64 * 1024,
  /**
   * Top-level fields of a value. Counted before decoding, because decoded objects take many times their encoded bytes.
   */
  fields: 4096,

  /** Names of objects: a DNS subdomain. */
  objectName: 253,
  /** Namespaces, hosts, ports of Services and EndpointSlices: a DNS label. */
  label: 63,
  /** Names of clusters. */
  clusterName: 32,
  /** Values of labels: zones, regions, zones of hints. */
  labelValue: 63,
  /** Keys of an identity's labels: a DNS subdomain, a slash, a name, behind the prefix of a namespace's labels. */
  labelKey: 348,
  /** Values of an identity's labels: a label's value has 63 characters, the name of a service account 253. */
  identityLabelValue: 253,
  /** Kubernetes uids have 36 characters. */
  uid: 128,
  /** A publisher's instance name, epoch and capability names. */
  identifier: 253,

  /** Addresses of a node, internal and external: only one cluster may claim each. */
  nodeAddresses: 8,
  /** Pod CIDRs of a node; frontends of a Service: Kubernetes has at most two, one for each family. */
  nodeCidrs: 32,
  frontends: 16,
  /** Ports of a Service, a slice or an endpoint. Kubernetes does not limit those of a Service; some have hundreds. */
  ports: 1000,
  /** Backends of a slice: Kubernetes' limit of endpoints in an EndpointSlice. */
  backends: 1000,
  /** Zones of a topology hint: Kubernetes' limit. */
  forZones: 8,
  /** Labels of an identity. */
  labels: 256,
  /** Kinds in a head, capabilities of a publisher. */
  kinds: 64,
  capabilities: 64,

  /** Weight of a backend. */
  weight: 65_535,
  /** IANA numbers of protocols. */
  protocol: 255,
  /** Ports begin at 1. */
  port: 65_535,
  /** Bits of a prefix. */
  prefix: 128,
  /** Expected replicas of a Service: an int32 in Kubernetes. */
  expected: 2_147_483_647,
  /** Seconds since the epoch: the end of the year 9999. */
  created: 253_402_300_799,
} as const;

/** Names the field, its value and the bound: `port name of 400 characters is more than 63`. */
export type OutOfBounds = string | undefined;

/** `most`: UTF-16 units. `field` is the subject of the sentence that is returned. */
export function checkText(field: string, text: string, most: number): OutOfBounds {
  return text.length > most ? `${field} of ${text.length} characters is more than ${most}` : undefined;
}

/** Accepts `least` to `most`, both included. */
export function checkNumber(field: string, value: number | bigint, most: number, least = 0): OutOfBounds {
  return value < least || value > most ? `${field} ${value} is not from ${least} to ${most}` : undefined;
}

/** Checks the list's length, then each of its items. */
export function checkList<T>(
  field: string,
  items: readonly T[],
  most: number,
  check: (item: T) => OutOfBounds = () => undefined,
): OutOfBounds {
  if (items.length > most) return `${items.length} ${field} are more than ${most}`;
  for (const item of items) {
    const finding = check(item);
    if (finding !== undefined) return finding;
  }
  return undefined;
}

/** Checks the ports of a Service, a slice or an endpoint: their number, and of each its name, number and protocol. */
export function checkPorts(ports: readonly (Port | NamedPort)[]): OutOfBounds {
  return checkList(
    "ports",
    ports,
    BOUNDS.ports,
    ({ name, port, protocol }) =>
      checkText("port name", name, BOUNDS.label) ??
      checkNumber("port", port, BOUNDS.port, 1) ??
      checkNumber("protocol", protocol, BOUNDS.protocol),
  );
}
