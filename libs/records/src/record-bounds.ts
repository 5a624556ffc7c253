/** Checks the fields of a record against BOUNDS, regardless of its cluster. Pure. */
import {
  type Backend,
  Endpoint,
  Identity,
  Kind,
  type NamedPort,
  Node,
  type Port,
  type Prefix,
  RefusalReason,
  Service,
  Slice,
} from "@isthmus/proto";
import { BOUNDS, checkList, checkNumber, checkText, type OutOfBounds } from "./bounds.js";
import type { HashedRecord, Refusal } from "./types.js";
import { WireCursor } from "./wire-cursor.js";

export const UNREADABLE = "its value cannot be read";

/**
 * Why the value must not be decoded: it is too large, or its fields cannot be counted. Undefined when it may be
 * decoded.
 */
export function refusalUndecoded({ key, value }: Pick<HashedRecord, "key" | "value">): Refusal | undefined {
  const tooLarge = (what: string): Refusal => ({ reason: RefusalReason.REFUSAL_REASON_TOO_LARGE, detail: what });
  if (key.length > BOUNDS.key) return tooLarge(`its key of ${key.length} bytes is more than ${BOUNDS.key}`);
  if (value.length > BOUNDS.value) return tooLarge(`${value.length} bytes are more than ${BOUNDS.value}`);
  const fields = countFields(value, BOUNDS.fields);
  if (fields === undefined) return { reason: RefusalReason.REFUSAL_REASON_MALFORMED_VALUE, detail: UNREADABLE };
  return fields > BOUNDS.fields ? tooLarge(`its fields are more than ${BOUNDS.fields}`) : undefined;
}

/** The bound for which a reader would refuse the record, if any; an exporter must not write such a record. */
export function outOfBounds(record: HashedRecord): OutOfBounds {
  return refusalUndecoded(record)?.detail ?? fieldsOf(record);
}

function fieldsOf({ kind, value }: HashedRecord): OutOfBounds {
  switch (kind) {
    case Kind.KIND_IDENTITY:
      return identityBounds(Identity.decode(value));
    case Kind.KIND_NODE:
      return nodeBounds(Node.decode(value));
    case Kind.KIND_ENDPOINT:
      return endpointBounds(Endpoint.decode(value));
    case Kind.KIND_SERVICE:
      return serviceBounds(Service.decode(value));
    case Kind.KIND_SLICE:
      return sliceBounds(Slice.decode(value));
    default:
      return undefined;
  }
}

/** Labels: their number, and the length of keys and values. */
export function identityBounds({ labels }: Identity): OutOfBounds {
  return checkList(
    "labels",
    labels,
    BOUNDS.labels,
    ({ key, value }) =>
      checkText("label key", key, BOUNDS.labelKey) ?? checkText("label value", value, BOUNDS.labelValue),
  );
}

/** Name, zone and region by length; addresses and ranges by number. */
export function nodeBounds(node: Node): OutOfBounds {
  return (
    checkText("name", node.name, BOUNDS.objectName) ??
    checkList("addresses", node.addresses, BOUNDS.nodeAddresses) ??
    checkList("pod CIDRs", node.podCidrs, BOUNDS.nodeCidrs, prefixBounds) ??
    checkText("zone", node.zone, BOUNDS.labelValue) ??
    checkText("region", node.region, BOUNDS.labelValue)
  );
}

/** Names and uid by length; ports by number and each of them. */
export function endpointBounds(endpoint: Endpoint): OutOfBounds {
  return (
    checkText("node", endpoint.node, BOUNDS.objectName) ??
    checkText("namespace", endpoint.namespace, BOUNDS.label) ??
    checkText("pod", endpoint.pod, BOUNDS.objectName) ??
    checkText("pod uid", endpoint.podUid, BOUNDS.uid) ??
    checkList("ports", endpoint.ports, BOUNDS.ports, portBounds)
  );
}

/** Uid by length, ports and frontends by number, expected replicas and time of creation by value. */
export function serviceBounds(service: Service): OutOfBounds {
  return (
    checkText("uid", service.uid, BOUNDS.uid) ??
    checkList("ports", service.ports, BOUNDS.ports, portBounds) ??
    checkNumber("expected", service.expected, BOUNDS.expected) ??
    checkNumber("created", service.created, BOUNDS.created) ??
    checkList("frontends", service.frontends, BOUNDS.frontends)
  );
}

/** Ports and backends by number, and each of them. */
export function sliceBounds(slice: Slice): OutOfBounds {
  return (
    checkList("ports", slice.ports, BOUNDS.ports, portBounds) ??
    checkList("backends", slice.backends, BOUNDS.backends, backendBounds)
  );
}

function prefixBounds({ length }: Prefix): OutOfBounds {
  return checkNumber("prefix length", length, BOUNDS.prefix);
}

function portBounds({ name, port, protocol }: Port | NamedPort): OutOfBounds {
  return (
    checkText("port name", name, BOUNDS.label) ??
    checkNumber("port", port, BOUNDS.port, 1) ??
    checkNumber("protocol", protocol, BOUNDS.protocol)
  );
}

function backendBounds(backend: Backend): OutOfBounds {
  return (
    checkNumber("weight", backend.weight, BOUNDS.weight) ??
    checkText("node", backend.node, BOUNDS.objectName) ??
    checkText("zone", backend.zone, BOUNDS.labelValue) ??
    checkList("zones of a hint", backend.forZones, BOUNDS.forZones, (zone) =>
      checkText("zone of a hint", zone, BOUNDS.labelValue),
    ) ??
    checkText("hostname", backend.hostname, BOUNDS.label) ??
    checkText("pod uid", backend.podUid, BOUNDS.uid)
  );
}

/**
 * Counts the top-level fields of a value, up to `most` + 1. Undefined for bytes that are not a message, including those
 * that the generated decoders skip or stop at (field number 0, groups): any number of fields could follow such bytes.
 */
function countFields(value: Uint8Array, most: number): number | undefined {
  const cursor = new WireCursor(value);
  let fields = 0;
  try {
    for (; cursor.at < value.length && fields <= most; fields++) cursor.skip(cursor.tag());
  } catch {
    return undefined;
  }
  return fields;
}
