/** Checks the fields of a record against BOUNDS, whichever cluster it comes from. Pure. */
import {
  type Backend,
  Endpoint,
  Identity,
  Kind,
  type NamedPort,
  Node,
  type Port,
  type Prefix,
  Service,
  Slice,
} from "@isthmus/proto";
import { BOUNDS, checkList, checkNumber, checkText, type OutOfBounds } from "./bounds.js";
import type { HashedRecord } from "./types.js";
import { WireCursor } from "./wire-cursor.js";

/** The part of a key or an undecoded value that is too large; undefined when it may be decoded. */
export function tooLarge({ key, value }: Pick<HashedRecord, "key" | "value">): OutOfBounds {
  if (key.length > BOUNDS.key) return `its key of ${key.length} bytes is more than ${BOUNDS.key}`;
  if (value.length > BOUNDS.value) return `${value.length} bytes are more than ${BOUNDS.value}`;
  return moreFieldsThan(BOUNDS.fields, value) ? `its fields are more than ${BOUNDS.fields}` : undefined;
}

/** The bound for which a reader would refuse the record; an exporter must not write such a record. */
export function outOfBounds(record: HashedRecord): OutOfBounds {
  return tooLarge(record) ?? fieldsOf(record);
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

export function identityBounds({ labels }: Identity): OutOfBounds {
  return checkList(
    "labels",
    labels,
    BOUNDS.labels,
    ({ key, value }) =>
      checkText("label key", key, BOUNDS.labelKey) ?? checkText("label value", value, BOUNDS.labelValue),
  );
}

export function nodeBounds(node: Node): OutOfBounds {
  return (
    checkText("name", node.name, BOUNDS.objectName) ??
    checkList("addresses", node.addresses, BOUNDS.nodeAddresses) ??
    checkList("pod CIDRs", node.podCidrs, BOUNDS.nodeCidrs, prefixBounds) ??
    checkText("zone", node.zone, BOUNDS.labelValue) ??
    checkText("region", node.region, BOUNDS.labelValue)
  );
}

export function endpointBounds(endpoint: Endpoint): OutOfBounds {
  return (
    checkText("node", endpoint.node, BOUNDS.objectName) ??
    checkText("namespace", endpoint.namespace, BOUNDS.label) ??
    checkText("pod", endpoint.pod, BOUNDS.objectName) ??
    checkText("pod uid", endpoint.podUid, BOUNDS.uid) ??
    checkList("ports", endpoint.ports, BOUNDS.ports, portBounds)
  );
}

export function serviceBounds(service: Service): OutOfBounds {
  return (
    checkText("uid", service.uid, BOUNDS.uid) ??
    checkList("ports", service.ports, BOUNDS.ports, portBounds) ??
    checkNumber("expected", service.expected, BOUNDS.expected) ??
    checkNumber("created", service.created, BOUNDS.created) ??
    checkList("frontends", service.frontends, BOUNDS.frontends)
  );
}

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

/** False for bytes that are no message: decoding reports that. */
function moreFieldsThan(most: number, value: Uint8Array): boolean {
  const cursor = new WireCursor(value);
  try {
    for (let fields = 0; cursor.at < value.length; fields++) {
      if (fields === most) return true;
      cursor.skip(cursor.tag());
    }
  } catch {
    return false;
  }
  return false;
}
