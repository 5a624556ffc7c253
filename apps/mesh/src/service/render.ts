/** Prints `mesh service list` as a table. */
import { formatAddress, isV4, table } from "@isthmus/model";
import type { ClusterBackends, FrontendReport, TierReport } from "@isthmus/proto";
import { frontendStateText } from "@isthmus/records";

const HEADER = ["SERVICE", "FRONTEND", "BACKENDS", "CLUSTERS", "STATUS", "NOTES"];
const PROTOCOLS: Readonly<Record<number, string>> = { 6: "TCP", 17: "UDP", 132: "SCTP" };

/** Sorted by name; one line for each frontend. */
export function servicesTable(frontends: readonly FrontendReport[]): string {
  return table([...frontends].sort(byName).map(row), HEADER);
}

/** `10.96.0.10:80/TCP`; "" for a Service without a ClusterIP. */
export function frontendText({ address, port, protocol }: FrontendReport): string {
  if (address.length === 0) return "";
  const ip = formatAddress(address);
  return `${isV4(address) ? ip : `[${ip}]`}:${port}/${PROTOCOLS[protocol] ?? protocol}`;
}

/** Tiers, best first; the tier in brackets takes new connections: `[east 3] > west 1/2`. */
export function tiersText(tiers: readonly TierReport[]): string {
  return tiers
    .filter(({ clusters }) => clusters.length > 0)
    .map(({ clusters, active }) =>
      active ? `[${clusters.map(cluster).join(", ")}]` : clusters.map(cluster).join(", "),
    )
    .join(" > ");
}

/** Why a cluster's backends are left out, and what of the Service is not served as specified. */
export function notesText({ tiers, notes }: FrontendReport): string {
  const out = tiers.flatMap(({ clusters }) => clusters).filter(({ keptOut }) => keptOut !== "");
  return [...out.map(({ cluster: name, keptOut }) => `${name}: ${keptOut}`), ...notes].join("; ");
}

/** Backends that new connections may go to now. */
export function backendsInUse({ tiers }: FrontendReport): number {
  const active = tiers.filter((tier) => tier.active).flatMap(({ clusters }) => clusters);
  return active.reduce((sum, { ready, serving, keptOut }) => (keptOut === "" ? sum + (ready || serving) : sum), 0);
}

function row(frontend: FrontendReport): readonly string[] {
  return [
    frontend.service,
    frontendText(frontend) || "-",
    String(backendsInUse(frontend)),
    tiersText(frontend.tiers),
    frontendStateText(frontend),
    notesText(frontend),
  ];
}

/** `3`; `1/2` when not all are ready; `0+1/2` when one is terminating and still serves. */
function cluster({ cluster: name, ready, serving, total }: ClusterBackends): string {
  const parts = serving > 0 ? `${ready}+${serving}` : String(ready);
  return `${name} ${ready === total && serving === 0 ? parts : `${parts}/${total}`}`;
}

function byName(a: FrontendReport, b: FrontendReport): number {
  const [left, right] = [`${a.service} ${a.port}`, `${b.service} ${b.port}`];
  return left < right ? -1 : left > right ? 1 : Buffer.compare(a.address, b.address);
}
