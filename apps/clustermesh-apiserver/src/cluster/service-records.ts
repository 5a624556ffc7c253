/**
 * A Service with its slices → the records of the own stream and what of them is exported (pure).
 *
 *   ClusterIP Service ──► SERVICE, SERVICE_CONFIG, its SLICEs        headless, ExternalName ──► nothing
 *   exported: SERVICE when global, SLICEs when global and shared, with their pod backends alone (exported-slice.ts)
 */
import { Affinity, SessionAffinity } from "@isthmus/proto";
import { type HashedRecord, record, serviceConfigKey, serviceKey } from "@isthmus/records";
import type { MeshAnnotations } from "./annotations.js";
import type { ServiceFacts } from "./service-facts.js";

export interface ServiceRecords {
  readonly own: readonly HashedRecord[];
  readonly exported: readonly HashedRecord[];
}

const NONE: ServiceRecords = { own: [], exported: [] };

export function exportsSlices(facts: ServiceFacts, mesh: MeshAnnotations): boolean {
  return mesh.global && mesh.shared && facts.frontends.length > 0;
}

/** `exportedSlices`: empty unless `exportsSlices`. `expected` is 0: the wanted number of replicas is not known yet. */
export function serviceRecords(
  facts: ServiceFacts | undefined,
  slices: Iterable<HashedRecord>,
  exportedSlices: readonly HashedRecord[],
  mesh: MeshAnnotations,
  notes: readonly string[],
): ServiceRecords {
  if (facts === undefined || facts.frontends.length === 0) return NONE;
  const service = record.service(serviceKey(facts.service), {
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
  const config = record.serviceConfig(serviceConfigKey(facts.service), {
    global: mesh.global,
    affinity: mesh.global ? mesh.affinity : Affinity.AFFINITY_NONE,
    tiers: [],
    weights: [],
    minHealthy: undefined,
    onFailover: "",
    // Served as the defaults for now; `notes` says so.
    session: SessionAffinity.SESSION_AFFINITY_NONE,
    sessionTimeoutS: 0,
    internalLocal: false,
    externalLocal: false,
    notes: [...notes],
  });
  return {
    own: [service, config, ...slices],
    exported: mesh.global ? [service, ...exportedSlices] : [],
  };
}
