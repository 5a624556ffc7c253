/**
 * What `mesh service list` says of Services that have mesh annotations and no ClusterIP: headless ones and ExternalNames.
 *
 * They have no frontend and so no records; without a row of their own they would just be missing.
 */
import { Affinity, type FrontendReport, type ListServicesRequest } from "@isthmus/proto";
import type { OwnServices } from "../cluster/own-services.js";

export function frontlessServices(services: OwnServices, request: ListServicesRequest): FrontendReport[] {
  const reports: FrontendReport[] = [];
  for (const { facts, inForce, notes } of services.all()) {
    if (facts.frontends.length > 0 || Object.keys(facts.annotations).length === 0) continue;
    if (request.namespace !== "" && !facts.service.startsWith(`${request.namespace}/`)) continue;
    if (request.globalOnly && !inForce.global) continue;
    reports.push({
      service: facts.service,
      // No address: no frontend.
      address: Buffer.alloc(0),
      port: 0,
      protocol: 0,
      portName: "",
      global: inForce.global,
      affinity: Affinity.AFFINITY_NONE,
      tiers: [],
      status: "No frontend",
      notes: notes.map(({ sentence }) => sentence),
    });
  }
  return reports;
}
