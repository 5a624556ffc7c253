/**
 * Rows of `mesh service list` for Services that are not merged: one for each Service with mesh annotations and no ClusterIP
 * (headless or ExternalName), and one per port for each Service that is left to another proxy.
 *
 * They have no frontend on any node, so without these rows they would be missing.
 */

import { DEFAULT_RESCUE_AFTER, printable, toRescueFields } from "@isthmus/model";
import { Affinity, type FrontendReport, FrontendState, type ListServicesRequest } from "@isthmus/proto";
import { type FrontendStatus, frontendStatus } from "@isthmus/records";
import type { ServiceFacts } from "../cluster/services/service-facts.js";
import type { LocalServices } from "../cluster/services/service-feed.js";

/** The request's `namespace` "" means all of them. The rows are in no order. */
export function servicesWithoutClusterIp(services: LocalServices, request: ListServicesRequest): FrontendReport[] {
  const reports: FrontendReport[] = [];
  for (const { facts, inForce, notes } of services.all()) {
    if (request.namespace !== "" && !facts.service.startsWith(`${request.namespace}/`)) continue;
    if (request.globalOnly && !inForce.global) continue;
    const row = {
      ...{ service: facts.service, global: inForce.global, affinity: Affinity.AFFINITY_NONE, tiers: [] },
      ...toRescueFields(DEFAULT_RESCUE_AFTER),
      notes: notes.map(({ sentence }) => sentence),
    };
    if (facts.frontends.length > 0 && facts.otherProxy !== undefined) reports.push(...leftRows(row, facts));
    else if (facts.frontends.length === 0 && Object.keys(facts.annotations).length > 0)
      // A Service without an address has no frontend.
      reports.push({
        ...{ ...row, address: Buffer.alloc(0), port: 0, protocol: 0, portName: "" },
        ...frontendStatus(FrontendState.FRONTEND_STATE_NO_FRONTEND),
      });
  }
  return reports;
}

type Row = Omit<FrontendReport, "address" | "port" | "protocol" | "portName" | keyof FrontendStatus>;

function leftRows(row: Row, { frontends, ports, otherProxy = "" }: ServiceFacts): FrontendReport[] {
  const notes = [`proxy "${printable(otherProxy)}" serves it, as its label says`, ...row.notes];
  return frontends.flatMap((address) =>
    ports.map(({ port, protocol, name }) => ({
      ...{ ...row, port, protocol, portName: name, notes },
      address: Buffer.from(address),
      ...frontendStatus(FrontendState.FRONTEND_STATE_OTHER_PROXY),
    })),
  );
}
