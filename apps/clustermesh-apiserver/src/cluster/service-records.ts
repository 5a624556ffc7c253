/**
 * A Service with its slices → the records of the own stream and what of them is exported (pure).
 *
 *   ClusterIP Service ──► SERVICE, SERVICE_CONFIG, its SLICEs        headless, ExternalName ──► nothing
 *   exported: SERVICE when global, SLICEs when global and shared
 */
import { Affinity, SessionAffinity } from "@isthmus/proto";
import { type HashedRecord, record, serviceConfigKey, serviceKey } from "@isthmus/records";
import type { AnnotationFinding, MeshAnnotations } from "./annotations.js";
import type { ServiceFacts } from "./service-facts.js";

export interface ServiceRecords {
  readonly own: readonly HashedRecord[];
  readonly exported: readonly HashedRecord[];
}

const NONE: ServiceRecords = { own: [], exported: [] };

/** `expected` is 0: the wanted number of replicas is not known yet. */
export function serviceRecords(
  facts: ServiceFacts | undefined,
  slices: Iterable<HashedRecord>,
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
  const endpoints = [...slices];
  return {
    own: [service, config, ...endpoints],
    exported: mesh.global ? [service, ...(mesh.shared ? endpoints : [])] : [],
  };
}

/** Why something of the object is not served as written: a sentence each, without a full stop. */
export function serviceNotes(facts: ServiceFacts, findings: readonly AnnotationFinding[]): readonly ServiceNote[] {
  if (facts.frontends.length === 0) return headlessNotes(facts, findings);
  const notes: ServiceNote[] = findings.map(({ sentence }) => ({ reason: "InvalidAnnotation", sentence }));
  const unsupported = (sentence: string) => notes.push({ reason: "NotServedAsWritten", sentence });
  if (facts.clientIpAffinity) unsupported('sessionAffinity "ClientIP" is not supported yet: served as "None"');
  if (facts.internalLocal) unsupported('internalTrafficPolicy "Local" is not supported yet: served as "Cluster"');
  if (facts.externalLocal) unsupported('externalTrafficPolicy "Local" is not supported yet: served as "Cluster"');
  for (const port of facts.unserved) unsupported(`Port "${port}" is not served: only TCP and UDP are`);
  return notes;
}

export interface ServiceNote {
  readonly reason: "InvalidAnnotation" | "NotServedAsWritten";
  readonly sentence: string;
}

function headlessNotes(facts: ServiceFacts, findings: readonly AnnotationFinding[]): readonly ServiceNote[] {
  const invalid = findings.map(({ sentence }): ServiceNote => ({ reason: "InvalidAnnotation", sentence }));
  if (Object.keys(facts.annotations).length === 0) return invalid;
  const sentence = "A Service without a ClusterIP has no frontend: its mesh annotations have no effect";
  return [...invalid, { reason: "NotServedAsWritten", sentence }];
}
