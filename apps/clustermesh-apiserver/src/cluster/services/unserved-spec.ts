/**
 * Reports fields of a Service's spec that this version does not serve as written (pure): one sentence each, with what applies
 * instead. The sentences are used in a condition, so they contain no numbers that change.
 */
import type { ServiceFacts } from "./service-facts.js";

/** At most this many ports in the sentence, whatever their number. */
const NAMED = 5;

/** Sentences without a full stop; empty when the whole spec is served as written. */
export function unservedSpec(facts: ServiceFacts): readonly string[] {
  return [
    ...(facts.clientIpAffinity ? ['sessionAffinity "ClientIP" is not supported yet: served as "None"'] : []),
    ...(facts.internalLocal ? ['internalTrafficPolicy "Local" is not supported yet: served as "Cluster"'] : []),
    ...(facts.externalLocal ? ['externalTrafficPolicy "Local" is not supported yet: served as "Cluster"'] : []),
    ...distribution(facts),
    ...outside(facts),
    ...facts.unserved.map((port) => `Port "${port}" is not served: only TCP and UDP are`),
  ];
}

function distribution({ trafficDistribution }: ServiceFacts): readonly string[] {
  if (trafficDistribution === "") return [];
  return [`trafficDistribution "${trafficDistribution}" is not supported yet: served without a preference`];
}

/** Addresses of the Service other than its ClusterIP. */
function outside({ nodePorts, loadBalancer, externalIps }: ServiceFacts): readonly string[] {
  const named = nodePorts.slice(0, NAMED).map((port) => `"${port}"`);
  const more = nodePorts.length > NAMED ? ` and ${nodePorts.length - NAMED} more` : "";
  return [
    ...(named.length > 0 ? [`nodePort ${named.join(", ")}${more} is not served yet: nodes do not answer there`] : []),
    ...(loadBalancer
      ? ["Addresses of its load balancer are not served yet: pods that dial one are sent out to the load balancer"]
      : []),
    ...(externalIps ? ["externalIPs are not served yet: only its ClusterIP is"] : []),
  ];
}
