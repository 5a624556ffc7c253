import type { ServiceName } from "@isthmus/model";
import { Kind, Service } from "@isthmus/proto";
import { BOUNDS, checkList, checkNumber, checkPorts, checkText } from "../bounds.js";
import { bytesText, portText, sorted } from "../canonical.js";
import { checkUnclaimed, firstFinding } from "./claims.js";
import { defineKind } from "./record-kind.js";

/** Ports are sorted by name, protocol and number, frontends by address. */
export const SERVICE_KIND = defineKind({
  kind: Kind.KIND_SERVICE,
  segment: "services",
  names: ["namespace", "service"],
  exported: true,
  meaning: "What is exported of a Service: its ports, its ClusterIPs, whether it is shared",
  parse: (names) => ({ kind: Kind.KIND_SERVICE, service: names as ServiceName }),
  message: Service,
  canonical: (service: Service) => ({
    ...service,
    ports: sorted(service.ports, portText),
    frontends: sorted(service.frontends, bytesText),
  }),
  bounds: (service) =>
    checkText("uid", service.uid, BOUNDS.uid) ??
    checkPorts(service.ports) ??
    checkNumber("expected", service.expected, BOUNDS.expected) ??
    checkNumber("created", service.created, BOUNDS.created) ??
    checkList("frontends", service.frontends, BOUNDS.frontends),
  check: (_, { frontends }, limits) => firstFinding(frontends, (address) => checkUnclaimed(address, limits)),
});

/** Of a Service. */
export const serviceKey = (service: ServiceName): string => `${SERVICE_KIND.segment}/${service}`;
