import type { ServiceName } from "@isthmus/model";
import { Kind, ServiceConfig } from "@isthmus/proto";
import { sorted } from "../canonical.js";
import { defineKind } from "./record-kind.js";

/** Tiers keep their order, which is significant. */
export const SERVICE_CONFIG_KIND = defineKind({
  kind: Kind.KIND_SERVICE_CONFIG,
  segment: "service-configs",
  names: ["namespace", "service"],
  exported: false,
  meaning: "What governs how this cluster consumes a Service: global, affinity",
  parse: (names) => ({ kind: Kind.KIND_SERVICE_CONFIG, service: names as ServiceName }),
  message: ServiceConfig,
  canonical: (config: ServiceConfig) => ({
    ...config,
    weights: sorted(config.weights, ({ cluster }) => cluster),
    notes: sorted(config.notes, (note) => note),
  }),
});

/** Of how the local cluster consumes a Service; never in the store. */
export const serviceConfigKey = (service: ServiceName): string => `${SERVICE_CONFIG_KIND.segment}/${service}`;
