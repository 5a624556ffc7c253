/** Prints the merged table: the tiers of each frontend with ready/known backends per cluster, and what is left out and why. */
import type { MergedFrontend, MergedTier, ServiceTable } from "@isthmus/clustermesh";
import { planFrontend } from "@isthmus/loadbalancer";
import { formatAddress, protocolName, table } from "@isthmus/model";

export function printServices(services: ServiceTable): string {
  const frontends = [...services.values()].flat();
  const rows = frontends.map((frontend) => [
    frontend.service,
    `${formatAddress(frontend.address)}:${frontend.port}/${protocolName(frontend.protocol)}`,
    frontend.global ? "yes" : "no",
    frontend.tiers.map(printTier).join(" > "),
    statusOf(frontend),
    [...frontend.excluded.map(({ cluster, reason }) => `${cluster}: ${reason}`), ...frontend.notes].join("; "),
  ]);
  rows.sort((a, b) => (a.join("\0") < b.join("\0") ? -1 : 1));
  return table(rows, ["SERVICE", "FRONTEND", "GLOBAL", "TIERS", "STATUS", "NOT USED"]).trimEnd();
}

function printTier(tier: MergedTier): string {
  return tier.clusters
    .map((cluster) => {
      const of = tier.backends.filter((backend) => backend.cluster === cluster);
      return `${cluster} ${of.filter((backend) => backend.ready).length}/${of.length}`;
    })
    .join(" + ");
}

function statusOf(frontend: MergedFrontend): string {
  const result = planFrontend(frontend);
  if (!result.ok) return `Error: ${result.error.message}`;
  return result.plan.tiers.length === 0 ? "Refuses" : "Done";
}
