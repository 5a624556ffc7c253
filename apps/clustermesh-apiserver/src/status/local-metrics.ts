/** Gauges of the local cluster, read at every scrape. */
import type { Metrics } from "@isthmus/observe";
import { KINDS, kindSegment } from "@isthmus/records";
import type { LocalSource } from "../cluster/local-source.js";
import type { LocalPolicies } from "../cluster/policies/policy-feeds.js";
import type { LocalServices } from "../cluster/services/service-feed.js";
import { countNotAccepted } from "./policy-reports.js";
import { CONDITION_TYPES } from "./service-conditions.js";

function conditionCounts(services: LocalServices): ReadonlyMap<string, number> {
  const counts = new Map<string, number>(CONDITION_TYPES.map((type) => [type, 0]));
  for (const { facts } of services.all())
    for (const { type } of facts.conditions) if (counts.has(type)) counts.set(type, (counts.get(type) ?? 0) + 1);
  return counts;
}

export interface LocalClusterModules {
  readonly services: LocalServices;
  readonly policies: Pick<LocalPolicies, "known">;
  /** Pods in policy audit mode. */
  readonly auditedPods: () => number;
}

/** Each scrape reads the values anew and goes through all Services, policies and pods. */
export function watchLocalCluster(
  metrics: Metrics,
  own: LocalSource,
  { services, policies, auditedPods }: LocalClusterModules,
): void {
  metrics.gauge("mesh_kube_contact_age_seconds", "Age of the last contact with the Kubernetes API", [], (gauge) =>
    gauge.set(own.exported.kubeAgeMs() / 1000),
  );
  metrics.gauge("mesh_local_floors_refused", "Floors of agents that were refused since the start", [], (gauge) =>
    gauge.set(own.refusedFloors),
  );
  metrics.gauge("mesh_local_records", "Records of the local cluster, by kind", ["kind"], (gauge) => {
    for (const kind of KINDS) gauge.set(own.stream.index.digest(kind).count, { kind: kindSegment(kind) });
  });
  metrics.gauge("mesh_exported_records", "Records that this cluster exports, by kind", ["kind"], (gauge) => {
    for (const kind of KINDS) gauge.set(own.exported.index.digest(kind).count, { kind: kindSegment(kind) });
  });
  metrics.gauge("mesh_services_left", "Services that a label leaves to another proxy", [], (gauge) => {
    let left = 0;
    for (const { facts } of services.all()) if (facts.otherProxy !== undefined) left++;
    gauge.set(left);
  });
  metrics.gauge("mesh_policies_not_accepted", "Policies whose present generation is not accepted", [], (gauge) => {
    gauge.set(countNotAccepted(policies.known()));
  });
  metrics.gauge("mesh_audited_pods", "Pods in policy audit mode", [], (gauge) => gauge.set(auditedPods()));
  metrics.gauge(
    "mesh_service_conditions",
    "Services with a condition that this program wrote, by type",
    ["type"],
    (gauge) => {
      for (const [type, count] of conditionCounts(services)) gauge.set(count, { type });
    },
  );
}
