/**
 * Builds placeholder records: a cluster's backends of each Service as the kernel serves them, as records of that
 * cluster.
 *
 * In: the frontends that were read back, and the local cluster's Services (which name the Service of a frontend). Out:
 * per Service one record, and one slice for each backend port of each of its ports. A backend keeps its node, as the
 * index of the node's row, and its weight, as its number of slots; it is terminating if its row has that flag,
 * otherwise ready. So a plan from these records equals the kernel, and nothing is written.
 *
 * Slots give weights up to a common factor: exact unless all weights of a tier share one, which no version writes.
 */
import { BackendFlag, type BackendRow } from "@isthmus/bpf";
import { bytesKey, isV4, type ServiceName } from "@isthmus/model";
import { Family, Kind, type Port, Service, Slice } from "@isthmus/proto";
import { BackendCondition, type HashedRecord, hashRecord, serviceKey, sliceKey } from "@isthmus/records";
import { adoptedNode } from "../nodes/nodes.js";
import { type FrontendName, frontendName } from "./frontends.js";

/** A tier as the kernel holds it. */
export interface ServedTier {
  /** Further slots that a program probes after the first. */
  readonly tries: number;
  /** Real id of the cluster of all slots; 0 = several. */
  readonly cluster: number;
  /** In slot order; a weighted backend has more than one slot. */
  readonly slots: readonly BackendRow[];
}

/** What the kernel serves, read back (datapath/services/read-services.ts). */
export type ServedFrontends = ReadonlyMap<FrontendName, readonly ServedTier[]>;

const READY = BackendCondition.Ready;
const SERVING_TERMINATING = BackendCondition.Serving | BackendCondition.Terminating;

/** Empty when the kernel serves none of the cluster's backends for this Service. */
export function recordsFromKernel(
  served: ServedFrontends,
  cluster: number,
  name: ServiceName,
  own: Pick<Service, "ports" | "frontends">,
): readonly HashedRecord[] {
  const slices: HashedRecord[] = [];
  const ports: Port[] = [];
  for (const address of own.frontends) {
    for (const port of own.ports) {
      const rows = backendsOf(served, cluster, address, port);
      if (rows.size === 0) continue;
      ports.push(port);
      for (const [number, shares] of rows) slices.push(sliceOf(name, address, { ...port, port: number }, shares));
    }
  }
  if (slices.length === 0) return [];
  const service = Service.fromPartial({ ports: uniquePorts(ports), shared: true });
  return [hashRecord(Kind.KIND_SERVICE, serviceKey(name), Service.encode(service).finish()), ...slices];
}

/** A backend and the number of its slots in its tier. */
interface Share {
  readonly row: BackendRow;
  slots: number;
}

/** By backend port; each address once. A backend is in one tier only. */
function backendsOf(
  served: ServedFrontends,
  cluster: number,
  address: Uint8Array,
  port: Port,
): ReadonlyMap<number, readonly Share[]> {
  const byPort = new Map<number, Map<string, Share>>();
  for (const { slots } of served.get(frontendName(address, port.port, port.protocol)) ?? []) {
    for (const row of slots) {
      if (row.cluster !== cluster) continue;
      const ofPort = byPort.get(row.port) ?? new Map<string, Share>();
      byPort.set(row.port, ofPort);
      const key = bytesKey(row.addr);
      const known = ofPort.get(key);
      if (known === undefined) ofPort.set(key, { row, slots: 1 });
      else known.slots++;
    }
  }
  return new Map([...byPort].map(([number, shares]) => [number, [...shares.values()]]));
}

function sliceOf(name: ServiceName, address: Uint8Array, port: Port, shares: readonly Share[]): HashedRecord {
  const backends = shares.map(({ row, slots }) => ({
    address: Buffer.from(row.addr),
    conditions: row.flags & BackendFlag.Terminating ? SERVING_TERMINATING : READY,
    weight: slots,
    node: row.node === 0 ? "" : adoptedNode(row.node),
  }));
  const family = isV4(address) ? Family.FAMILY_IPV4 : Family.FAMILY_IPV6;
  const value = Slice.encode(Slice.fromPartial({ family, ports: [port], backends })).finish();
  const slice = `kernel-${Buffer.from(port.name).toString("hex")}-${port.protocol}-${port.port}-${family}`;
  return hashRecord(Kind.KIND_SLICE, sliceKey(name, slice), value);
}

function uniquePorts(ports: readonly Port[]): Port[] {
  return [...new Map(ports.map((port) => [`${port.name}/${port.protocol}`, port])).values()];
}
