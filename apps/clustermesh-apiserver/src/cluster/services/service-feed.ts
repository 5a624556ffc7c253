/**
 * Services, joined with their EndpointSlices: SERVICE, SERVICE_CONFIG and SLICE records, and notes for the users of Services.
 */
import { type ReportedEvent, SERVICES } from "@isthmus/kube";
import type { Prefix, ServiceName } from "@isthmus/model";
import { createEmitter } from "@isthmus/runtime";
import type { SliceJoin } from "../endpoints/endpoint-feed.js";
import type { Feed } from "../feed/feed.js";
import type { LastGood } from "../feed/last-good.js";
import type { MeshAnnotations } from "./annotations.js";
import { policyService, type ServiceJoin } from "./policy-service.js";
import { type ServiceFacts, serviceFacts } from "./service-facts.js";
import type { ServiceNote } from "./service-notes.js";
import { createServiceTable, type KnownService } from "./service-table.js";

/** The local cluster's Services as their users wrote them, with the notes to report on each. */
export interface LocalServices {
  /** Undefined when there is no such Service, or Services have not been read yet. */
  get(service: ServiceName): KnownService | undefined;
  /** Every Service that exists, in no order. */
  all(): Iterable<KnownService>;
  /**
   * Calls the listener with the Services whose object or notes changed, deleted ones included. Returns a function that
   * removes it.
   */
  onChange(listener: (services: readonly ServiceName[]) => void): () => void;
}

export interface ServiceFeed extends Feed<ServiceFacts> {
  /** As of the last `takeChanges`. */
  readonly services: LocalServices;
  /** Takes the slices of Services. */
  readonly slices: SliceJoin;
}

/** `podCidrs`: this cluster's pod ranges; undefined: not known yet. `policies` gets what they need of each Service. */
export function createServiceFeed(
  lastGood: LastGood<MeshAnnotations>,
  podCidrs: readonly Prefix[] | undefined,
  policies: ServiceJoin,
): ServiceFeed {
  const table = createServiceTable(lastGood, podCidrs);
  const changes = createEmitter<readonly ServiceName[]>();
  let changed: readonly ServiceName[] = [];

  function join(service: ServiceName): void {
    const facts = table.get(service)?.facts;
    if (facts === undefined) policies.deleteService(service);
    else policies.setService(policyService(facts, table.slicesOf(service)));
  }

  return {
    resource: SERVICES,
    versionType: "services",
    facts: serviceFacts,
    take({ deletes, sets }) {
      for (const { value } of deletes) table.deleteService(value);
      for (const { value } of sets) table.setService(value);
    },
    records: {
      configure({ podCidrs, rescueAfter }) {
        if (podCidrs !== undefined) table.setPodCidrs(podCidrs);
        if (rescueAfter !== undefined) table.setRescueAfter(rescueAfter);
      },
      takeChanges() {
        const { local, exported, notes, ...flushed } = table.flush();
        changed = flushed.changed;
        for (const service of flushed.touched) join(service);
        return { local, exported, notes: notes.map(({ facts, note }) => eventOf(facts, note)) };
      },
      applied() {
        if (changed.length > 0) changes.emit(changed);
      },
    },
    slices: table,
    services: {
      get: table.get,
      all: table.all,
      onChange: changes.subscribe,
    },
  };
}

function eventOf({ service, uid }: ServiceFacts, { topic, reason, sentence }: ServiceNote): ReportedEvent {
  const [namespace = "", name = ""] = service.split("/");
  const action = topic === "export" ? "Export" : "Validate";
  return { resource: SERVICES, namespace, name, uid, type: "Warning", reason, action, note: sentence };
}
