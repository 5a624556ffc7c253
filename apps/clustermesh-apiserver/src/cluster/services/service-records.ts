/**
 * A Service with its slices → its records for the local stream and for export (pure).
 *
 *   ClusterIP Service ──► SERVICE, SERVICE_CONFIG, its SLICEs        headless, ExternalName ──► nothing
 *   left to another proxy ──► SERVICE_CONFIG alone, with the proxy's name and the ClusterIPs
 *   exported: SERVICE when global, SLICEs when global and shared, with only their pod backends (exported-slice.ts)
 */
import { toRescueFields } from "@isthmus/model";
import { Affinity, ServiceConfig, SessionAffinity } from "@isthmus/proto";
import {
  type HashedRecord,
  outOfBounds,
  SERVICE_CONFIG_KIND,
  SERVICE_KIND,
  serviceConfigKey,
  serviceKey,
} from "@isthmus/records";
import type { MeshAnnotations, ServiceSettings } from "./annotations.js";
import type { ServiceFacts } from "./service-facts.js";

export interface ServiceRecords {
  /** For this cluster's agents; empty for a Service without a ClusterIP. */
  readonly local: readonly HashedRecord[];
  /** For other clusters; empty unless the Service is global and fits in a record. */
  readonly exported: readonly HashedRecord[];
}

const NONE: ServiceRecords = { local: [], exported: [] };

/** True for a Service that is global and shared, has a ClusterIP, and is not left to another proxy. */
export function exportsSlices(facts: ServiceFacts, mesh: MeshAnnotations): boolean {
  return mesh.global && mesh.shared && facts.frontends.length > 0 && facts.otherProxy === undefined;
}

/** `expected` is 0: the wanted number of replicas is not known yet. */
export function serviceRecord(facts: ServiceFacts, mesh: MeshAnnotations): HashedRecord {
  return SERVICE_KIND.record(serviceKey(facts.service), {
    uid: facts.uid,
    ports: [...facts.ports],
    shared: mesh.shared,
    session: facts.clientIpAffinity
      ? SessionAffinity.SESSION_AFFINITY_CLIENT_IP
      : SessionAffinity.SESSION_AFFINITY_NONE,
    expected: 0,
    created: BigInt(facts.created),
    mcs: undefined,
    frontends: facts.frontends.map((address) => Buffer.from(address)),
  });
}

/** `exportedSlices` is empty unless `exportsSlices` is true. A Service that is too large for a record is not exported at all. */
export function serviceRecords(
  facts: ServiceFacts,
  slices: Iterable<HashedRecord>,
  exportedSlices: readonly HashedRecord[],
  mesh: ServiceSettings,
  notes: readonly string[],
): ServiceRecords {
  if (facts.frontends.length === 0) return NONE;
  if (facts.otherProxy !== undefined) return { local: [leftRecord(facts, notes)], exported: [] };
  const service = serviceRecord(facts, mesh);
  const config = SERVICE_CONFIG_KIND.record(serviceConfigKey(facts.service), {
    ...ServiceConfig.fromPartial({}),
    global: mesh.global,
    affinity: mesh.global ? mesh.affinity : Affinity.AFFINITY_NONE,
    ...toRescueFields(mesh.rescueAfter),
    // sessionAffinity and the traffic policies are served as the defaults for now; `notes` reports it.
    notes: [...notes],
  });
  return {
    local: [service, config, ...slices],
    exported: mesh.global && outOfBounds(service) === undefined ? [service, ...exportedSlices] : [],
  };
}

/** The record of a Service that another proxy serves: no frontend, and the ClusterIPs that agents must leave alone. */
function leftRecord({ service, otherProxy, frontends }: ServiceFacts, notes: readonly string[]): HashedRecord {
  return SERVICE_CONFIG_KIND.record(serviceConfigKey(service), {
    ...ServiceConfig.fromPartial({}),
    otherProxy: otherProxy ?? "",
    leftFrontends: frontends.map((address) => Buffer.from(address)),
    notes: [...notes],
  });
}
