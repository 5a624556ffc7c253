/**
 * Finds the backends that one cluster contributes to one frontend, with their ports, or the reason why there are none.
 *
 * Ports are matched by (name, protocol), never by number: first in the cluster's Service, then in each slice.
 */
import { protocolName, type ServiceName } from "@isthmus/model";
import { BackendExclusion, Family, type Port } from "@isthmus/proto";
import { type Exclusions, exclude, excludeOthers, sliceBackends } from "./exclusions.js";
import type { ClusterView, Exclusion, MergedBackend, SliceView } from "./types.js";

/** The port that clients dial, identified by name and protocol because numbers may differ between clusters. */
export interface PortId {
  /** "" for the only port of a Service, which needs no name. */
  readonly name: string;
  /** IANA number. */
  readonly protocol: number;
}

export interface ClusterShare {
  /** At most `MAX_REMOTE_SHARE` of a remote cluster; those that are not ready are included. */
  readonly backends: readonly MergedBackend[];
  /** One sentence; set when there are no backends. */
  readonly reason: string | undefined;
  /** One sentence; set when not all backends are used. */
  readonly note?: string;
}

/** Each reason also says what to do, because users may see nothing else. */
const NOT_GLOBAL_HERE: Exclusion = {
  cause: BackendExclusion.BACKEND_EXCLUSION_NOT_GLOBAL_HERE,
  reason: 'Service is not global here: to use it, set "service.cilium.io/global" to "true" in this cluster',
};
const NOT_GLOBAL_THERE: Exclusion = {
  cause: BackendExclusion.BACKEND_EXCLUSION_NOT_GLOBAL_THERE,
  reason: 'No global Service with a ClusterIP there: make it, or set "service.cilium.io/global" to "true"',
};
const NOT_SHARED: Exclusion = {
  cause: BackendExclusion.BACKEND_EXCLUSION_NOT_SHARED,
  reason: 'Service is not shared there: "service.cilium.io/shared" is "false"',
};

/**
 * For example a workload that is scaled to 0. A Service that its cluster cannot export looks the same in its records.
 */
const NO_PODS =
  "Service has no pods there, or none inside its pod ranges: see its endpoints and its Events in that cluster";

function noPort(wanted: PortId): string {
  return `Service has no port ${describe(wanted)} there: give the ports the same names and protocols in both clusters`;
}

function noPortInSlice(wanted: PortId): Exclusion {
  const { BACKEND_EXCLUSION_PORT: cause } = BackendExclusion;
  return { cause, reason: `Its EndpointSlice has no port ${describe(wanted)}: its pods name their ports otherwise` };
}

function otherFamily(family: Family): Exclusion {
  const [has, wanted] = family === Family.FAMILY_IPV4 ? ["IPv6", "IPv4"] : ["IPv4", "IPv6"];
  return {
    cause: BackendExclusion.BACKEND_EXCLUSION_FAMILY,
    reason: `Its address is ${has}, and the frontend's is ${wanted}`,
  };
}

function noBackends(wanted: PortId): string {
  return `No backends for port ${describe(wanted)} come from there: see "mesh service list" there, and "mesh status" here`;
}

/** Why a remote cluster contributes to no frontend of a Service; undefined when it may contribute. */
export function clusterExclusion(view: ClusterView, service: ServiceName, global: boolean): Exclusion | undefined {
  const record = view.services.get(service);
  if (!global) return record === undefined ? undefined : NOT_GLOBAL_HERE;
  if (record === undefined) return NOT_GLOBAL_THERE;
  return record.shared ? undefined : NOT_SHARED;
}

/** All backends of `view` for one port, those of slices without it too. */
export function* clusterBackends(view: ClusterView, service: ServiceName, wanted: PortId): Generator<MergedBackend> {
  for (const slice of view.slices.get(service)?.values() ?? [])
    yield* sliceBackends(slice, findPort(slice.ports, wanted));
}

/**
 * Backends of `view` for one port and address family, including those that are not ready. `exclusions` gets the others of its
 * slices.
 */
export function clusterShare(
  view: ClusterView,
  service: ServiceName,
  wanted: PortId,
  v4: boolean,
  exclusions?: Exclusions,
): ClusterShare {
  if (findPort(view.services.get(service)?.ports ?? [], wanted) === -1) {
    const reason = noPort(wanted);
    const { BACKEND_EXCLUSION_PORT: cause } = BackendExclusion;
    exclude(exclusions, clusterBackends(view, service, wanted), { cause, reason });
    return { backends: [], reason };
  }
  const bySlice = view.slices.get(service);
  const slices = [...(bySlice?.values() ?? [])];
  const family = v4 ? Family.FAMILY_IPV4 : Family.FAMILY_IPV6;
  const parts = backendLists(slices, wanted, family, exclusions);
  if (!view.local && bySlice !== undefined && total(parts) > MAX_REMOTE_SHARE) {
    const inOrder = [...bySlice].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, slice]) => slice);
    const backends = join(firstLists(backendLists(inOrder, wanted, family), MAX_REMOTE_SHARE));
    const note = `Cluster "${view.cluster}" has ${total(parts)} backends, of which ${backends.length} are used: split the Service`;
    const { BACKEND_EXCLUSION_TOO_MANY: cause } = BackendExclusion;
    if (exclusions !== undefined) excludeOthers(exclusions, join(parts), backends, () => ({ cause, reason: note }));
    return { backends, reason: undefined, note };
  }
  const backends = join(parts);
  if (backends.length > 0) return { backends, reason: undefined };
  return { backends, reason: slices.length > 0 && slices.every(isEmpty) ? NO_PODS : noBackends(wanted) };
}

/** For a Service without pods Kubernetes keeps a slice that has no ports. */
function isEmpty({ ports, backends }: SliceView): boolean {
  return ports.every((_, port) => backends(port).length === 0);
}

/**
 * Most backends that a remote cluster contributes to one frontend. A Service is merged as a whole, so this bounds the
 * work; Services in practice have less than a tenth of this. If there are more, the slices that come first by name are
 * used.
 */
export const MAX_REMOTE_SHARE = 32_768;

/** Lists the backends of each slice that has the port. */
function backendLists(
  slices: Iterable<SliceView>,
  wanted: PortId,
  family: Family,
  exclusions?: Exclusions,
): (readonly MergedBackend[])[] {
  const lists: (readonly MergedBackend[])[] = [];
  for (const slice of slices) {
    const port = slice.family === family ? findPort(slice.ports, wanted) : -1;
    if (port !== -1) lists.push(slice.backends(port));
    else if (exclusions !== undefined) {
      const exclusion = slice.family === family ? noPortInSlice(wanted) : otherFamily(family);
      exclude(exclusions, sliceBackends(slice, findPort(slice.ports, wanted)), exclusion);
    }
  }
  return lists;
}

function total(lists: readonly (readonly MergedBackend[])[]): number {
  let count = 0;
  for (const list of lists) count += list.length;
  return count;
}

/** The lists, from the first on, that fit as a whole into `most` backends. */
function firstLists(lists: readonly (readonly MergedBackend[])[], most: number): (readonly MergedBackend[])[] {
  let room = most;
  return lists.filter((list) => {
    room -= list.length;
    return room >= 0;
  });
}

function findPort(ports: readonly Port[], { name, protocol }: PortId): number {
  for (let i = 0; i < ports.length; i++) {
    const port = ports[i];
    if (port?.name === name && port.protocol === protocol) return i;
  }
  return -1;
}

/** Concatenates lists. Most Services have one slice in one cluster; its list is then returned without a copy. */
export function join(parts: readonly (readonly MergedBackend[])[]): readonly MergedBackend[] {
  if (parts.length === 1 && parts[0] !== undefined) return parts[0];
  const all = new Array<MergedBackend>(total(parts)); // a growing array takes three times as long, flat() ten times
  let count = 0;
  for (const part of parts) for (const backend of part) all[count++] = backend;
  return all;
}

/** `"http"/TCP`, or `(no name)/TCP`. */
function describe(port: PortId): string {
  const protocol = protocolName(port.protocol);
  return `${port.name === "" ? "(no name)" : `"${port.name}"`}/${protocol}`;
}
