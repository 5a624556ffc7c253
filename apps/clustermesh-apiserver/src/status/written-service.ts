/** A Service as its user wrote it, for `mesh service explain`. */
import { printable, type ServiceName } from "@isthmus/model";
import { ExplainedService } from "@isthmus/proto";
import type { LocalServices } from "../cluster/services/service-feed.js";

/** Annotations of the mesh and notes that are shown of one Service. */
const MOST = 32;

/** With the values in force, except for what only records have; undefined: there is no such Service. */
export function writtenService(services: Pick<LocalServices, "get">, name: ServiceName): ExplainedService | undefined {
  const known = services.get(name);
  if (known === undefined) return undefined;
  const { facts, inForce, notes } = known;
  return ExplainedService.fromPartial({
    service: name,
    addresses: facts.frontends.map((address) => Buffer.from(address)),
    ports: [...facts.ports],
    ...{ global: inForce.global, shared: inForce.shared, affinity: inForce.affinity },
    annotations: Object.entries(facts.annotations)
      .slice(0, MOST)
      .map(([key, value]) => ({ key: printable(key, 317), value: printable(value, 256) })),
    notes: notes.slice(0, MOST).map(({ sentence }) => sentence),
    otherProxy: printable(facts.otherProxy ?? "", 256),
    left: facts.otherProxy !== undefined,
  });
}
