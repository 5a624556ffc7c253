/**
 * What one cluster gives to one frontend: backends with their port resolved, or the reason why it gives none.
 *
 * Ports are matched by (name, protocol), never by number: first against the cluster's Service, then against each slice.
 */
import { type Address, isV4, protocolName, type ServiceName } from "@isthmus/model";
import { Family, type Port, type Backend as RecordBackend, type Slice } from "@isthmus/proto";
import type { ClusterView, MergedBackend } from "./types.js";

/** Bits of `Backend.conditions`. */
const READY = 1;
const SERVING = 2;
const TERMINATING = 4;

/** The port that clients dial, by what identifies it in every cluster. */
export interface WantedPort {
  readonly name: string;
  readonly protocol: number;
}

export interface ClusterShare {
  readonly backends: readonly MergedBackend[];
  /** One sentence, when there are no backends. */
  readonly reason: string | undefined;
}

/** Reasons of a remote cluster to stay out of every frontend of a Service; undefined when it takes part. */
export function keptOutEntirely(view: ClusterView, service: ServiceName, global: boolean): string | undefined {
  const record = view.services.get(service);
  if (!global) return record === undefined ? undefined : "Service is not global in this cluster";
  if (record === undefined) return "Service is not global there";
  return record.shared ? undefined : "Service is not shared there";
}

/** Backends of `view` for one port and address family. Conditions are kept, also of what cannot serve now. */
export function clusterShare(view: ClusterView, service: ServiceName, wanted: WantedPort, v4: boolean): ClusterShare {
  if (findPort(view.services.get(service)?.ports ?? [], wanted) === undefined) {
    return { backends: [], reason: `Service has no port ${describe(wanted)} there` };
  }
  const backends: MergedBackend[] = [];
  for (const slice of view.slices.get(service)?.values() ?? []) {
    const port = findPort(slice.ports, wanted);
    if (port === undefined || !familyFits(slice, v4)) continue;
    for (const backend of slice.backends) {
      if (backend.address.length === 16 && isV4(backend.address) === v4) backends.push(merged(view, backend, port));
    }
  }
  return { backends, reason: backends.length > 0 ? undefined : `No endpoints for port ${describe(wanted)} there` };
}

function findPort(ports: readonly Port[], wanted: WantedPort): Port | undefined {
  for (const port of ports) if (port.name === wanted.name && port.protocol === wanted.protocol) return port;
  return undefined;
}

function familyFits(slice: Slice, v4: boolean): boolean {
  return slice.family === (v4 ? Family.FAMILY_IPV4 : Family.FAMILY_IPV6);
}

function merged(view: ClusterView, backend: RecordBackend, port: Port): MergedBackend {
  return {
    cluster: view.cluster,
    clusterId: view.id,
    // Not copied: 16 bytes of a decoded record, which nobody writes to.
    address: backend.address as Uint8Array as Address,
    port: port.port,
    protocol: port.protocol,
    ready: (backend.conditions & READY) !== 0,
    serving: (backend.conditions & (SERVING | TERMINATING)) === (SERVING | TERMINATING),
    node: backend.node,
    weight: backend.weight === 0 ? 1 : backend.weight,
  };
}

/** `"http"/TCP`, or `TCP` for the port without a name. */
function describe(port: WantedPort): string {
  const protocol = protocolName(port.protocol);
  return port.name === "" ? `without a name/${protocol}` : `"${port.name}"/${protocol}`;
}
