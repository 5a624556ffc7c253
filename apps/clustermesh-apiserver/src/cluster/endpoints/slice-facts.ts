/**
 * An EndpointSlice → its Service and its record (pure). Slices without a Service, slices of host names, and slices labelled as
 * those of a headless Service are left out: no proxy serves them (KEP-2447).
 */
import type { KubeEndpoint, KubeEndpointSlice, KubeObject } from "@isthmus/kube";
import { type Address, parseAddress, protocolNumber, type ServiceName, serviceName } from "@isthmus/model";
import { type Backend, Family, type Port } from "@isthmus/proto";
import { BackendCondition, BOUNDS, type HashedRecord, SLICE_KIND, sliceKey } from "@isthmus/records";

export interface SliceFacts {
  /** As `namespace/name`, from the label `kubernetes.io/service-name` and the namespace of the slice. */
  readonly service: ServiceName;
  /** The SLICE record with all usable backends, exported or not. */
  readonly record: HashedRecord;
}

const { Ready, Serving, Terminating } = BackendCondition;

const FAMILIES: ReadonlyMap<string, Family> = new Map([
  ["IPv4", Family.FAMILY_IPV4],
  ["IPv6", Family.FAMILY_IPV6],
]);

/** Undefined: the slice is left out. A port or endpoint that cannot be used is left out of the record. */
export function sliceFacts(object: KubeObject): SliceFacts | undefined {
  const slice = object as KubeEndpointSlice;
  const { labels } = slice.metadata;
  const owner = labels?.["service.kubernetes.io/headless"] === undefined ? labels?.["kubernetes.io/service-name"] : "";
  const family = FAMILIES.get(slice.addressType ?? "");
  if (owner === undefined || owner === "" || family === undefined) return undefined;
  const service = serviceName(slice.metadata.namespace ?? "", owner);
  const value = {
    family,
    ports: (slice.ports ?? []).flatMap(servedPort),
    backends: (slice.endpoints ?? []).flatMap(backend),
  };
  return { service, record: SLICE_KIND.record(sliceKey(service, slice.metadata.name ?? ""), value) };
}

/** A port without a number means all ports, and one out of range is invalid: no frontend can be matched with either. */
function servedPort(port: NonNullable<KubeEndpointSlice["ports"]>[number]): Port[] {
  const protocol = protocolNumber(port.protocol ?? "TCP");
  const number = port.port;
  if (protocol === undefined || typeof number !== "number" || number < 1 || number > BOUNDS.port) return [];
  return [{ name: port.name ?? "", protocol, port: number }];
}

/**
 * All addresses of an endpoint are the same backend: the first one is used, as in kube-proxy. Kubernetes does not bound every
 * text of an EndpointSlice that was written by hand; a text longer than the bound of a record counts as absent.
 */
function backend(endpoint: KubeEndpoint): Backend[] {
  const address = readAddress(endpoint.addresses?.[0]);
  if (address === undefined) return [];
  return [
    {
      address: Buffer.from(address),
      conditions: conditions(endpoint),
      weight: 0,
      node: atMost(BOUNDS.objectName, endpoint.nodeName),
      zone: atMost(BOUNDS.labelValue, endpoint.zone),
      forZones: (endpoint.hints?.forZones ?? [])
        .map(({ name }) => name)
        .filter((name) => name.length <= BOUNDS.labelValue)
        .slice(0, BOUNDS.forZones),
      hostname: atMost(BOUNDS.label, endpoint.hostname),
      podUid: endpoint.targetRef?.kind === "Pod" ? atMost(BOUNDS.uid, endpoint.targetRef.uid) : "",
    },
  ];
}

function atMost(length: number, text: string | null | undefined): string {
  return text === null || text === undefined || text.length > length ? "" : text;
}

/** An unknown `ready` counts as true; an unknown `serving` is the same as `ready`. */
function conditions({ conditions }: KubeEndpoint): number {
  const ready = conditions?.ready ?? true;
  const serving = conditions?.serving ?? ready;
  return (ready ? Ready : 0) | (serving ? Serving : 0) | (conditions?.terminating === true ? Terminating : 0);
}

function readAddress(text: string | undefined): Address | undefined {
  try {
    return text === undefined ? undefined : parseAddress(text);
  } catch {
    return undefined;
  }
}
