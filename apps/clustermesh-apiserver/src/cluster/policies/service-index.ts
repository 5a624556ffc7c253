/**
 * Services of the local cluster as policies mean them (pure).
 *
 * In: Services with what their selectors or EndpointSlices say. Out: the Services that the queries of a policy mean, and which
 * queries mean a Service that has changed.
 */
import { isDeepStrictEqual } from "node:util";
import { type ServiceName, serviceName } from "@isthmus/model";
import {
  MAX_ITEMS,
  MAX_SERVICE_SELECTORS,
  MAX_SERVICES,
  meansService,
  type PolicyService,
  type ServiceQuery,
} from "@isthmus/policy";
import type { PolicyService as PolicyServiceRecord } from "@isthmus/proto";

export interface ServiceIndex {
  /**
   * Sorted by namespace and name, with the labels that the queries ask for. Of more than a policy may have, one more at least; none
   * for more queries than it may have: the parser refuses both.
   */
  find(queries: readonly ServiceQuery[]): readonly PolicyServiceRecord[];
}

/** Without Services. */
export function createServiceIndex() {
  const services = new Map<ServiceName, PolicyService>();
  /** As they were and as they are. */
  let changed: PolicyService[] = [];

  function set(name: ServiceName, service: PolicyService | undefined): void {
    const before = services.get(name);
    if (isDeepStrictEqual(before, service)) return;
    if (service === undefined) services.delete(name);
    else services.set(name, service);
    changed.push(...[before, service].filter((one) => one !== undefined));
  }

  return {
    setService(service: PolicyService): void {
      set(serviceName(service.namespace, service.name), service);
    },
    deleteService(name: ServiceName): void {
      set(name, undefined);
    },
    /** Says whether some of the queries mean a Service that changed since the last call; undefined when none changed. */
    takeChanges(): ((queries: readonly ServiceQuery[]) => boolean) | undefined {
      if (changed.length === 0) return undefined;
      const those = changed;
      changed = [];
      return (queries) => queries.some((query) => those.some((service) => meansService(query, service)));
    },
    find(queries: readonly ServiceQuery[]): readonly PolicyServiceRecord[] {
      const selecting = queries.filter(({ name }) => name === undefined);
      if (queries.length > MAX_SERVICES || selecting.length > MAX_SERVICE_SELECTORS) return [];
      const anywhere = new Set(queries.filter(({ namespace }) => namespace === undefined).map(({ name }) => name));
      const found = new Map<string, PolicyService>();
      for (const { namespace, name } of queries) {
        if (namespace === undefined || name === undefined) continue;
        const key = serviceName(namespace, name);
        const service = services.get(key);
        if (service !== undefined) found.set(key, service);
      }
      for (const [key, service] of anywhere.size + selecting.length === 0 ? [] : services)
        if (anywhere.has(service.name) || selecting.some((query) => meansService(query, service)))
          found.set(key, service);
      const keys = new Set(selecting.flatMap(({ selector }) => selector.requirements.map(({ key }) => key)));
      return withinBounds(found, keys);
    },
  };
}

function withinBounds(
  found: ReadonlyMap<string, PolicyService>,
  labelKeys: ReadonlySet<string>,
): readonly PolicyServiceRecord[] {
  let left = MAX_ITEMS + 1;
  const names = [...found.keys()].sort().slice(0, MAX_SERVICES + 1);
  return names.flatMap((key) => {
    const service = found.get(key);
    if (service === undefined) return [];
    const addresses = service.addresses.slice(0, left);
    left -= addresses.length;
    const labels = service.labels.filter((label) => labelKeys.has(label.key));
    return [{ ...service, labels, selector: [...service.selector], addresses }];
  });
}
