/** For tests of Events and conditions on Services: sources that hold one Service, and the Service as its user wrote it. */
import type { MeshCondition } from "@isthmus/kube";
import { type ServiceName, serviceName } from "@isthmus/model";
import { Service, ServiceConfig } from "@isthmus/proto";
import { SERVICE_CONFIG_KIND, SERVICE_KIND, serviceConfigKey, serviceKey } from "@isthmus/records";
import { createEmitter } from "@isthmus/runtime";
import { DEFAULT_ANNOTATIONS } from "../../cluster/services/annotations.js";
import { serviceFacts } from "../../cluster/services/service-facts.js";
import type { LocalServices } from "../../cluster/services/service-feed.js";
import type { ServiceNote } from "../../cluster/services/service-notes.js";
import type { KnownService } from "../../cluster/services/service-table.js";
import { createFakeSource, type FakeSource } from "../../testing/fake-source.js";

export const CART = serviceName("shop", "cart");

export interface ServiceSource extends FakeSource {
  /** Ports by name, all TCP; undefined: the Service is deleted. */
  put(ports: readonly string[] | undefined, options?: { readonly shared?: boolean; readonly global?: boolean }): void;
}

export function createServiceSource(clusterId: number, cluster: string): ServiceSource {
  const source = createFakeSource(clusterId, cluster);
  return {
    ...source,
    put(names, { shared = true, global = true } = {}) {
      const ports = (names ?? []).map((name) => ({ name, protocol: 6, port: 80 }));
      const records = [
        SERVICE_KIND.record(serviceKey(CART), Service.fromPartial({ uid: "u1", shared, ports })),
        ...(clusterId === 0
          ? [SERVICE_CONFIG_KIND.record(serviceConfigKey(CART), ServiceConfig.fromPartial({ global }))]
          : []),
      ];
      const change = names === undefined ? { upserts: [], deletes: records } : { upserts: records, deletes: [] };
      source.index.apply({ ...change, position: source.change({}), observedMicros: 1 });
    },
  };
}

export function knownService(
  notes: readonly ServiceNote[] = [],
  conditions: readonly MeshCondition[] = [],
): KnownService {
  const metadata = { namespace: "shop", name: "cart", uid: "u1" };
  return { facts: { ...serviceFacts({ metadata }), conditions }, inForce: DEFAULT_ANNOTATIONS, notes };
}

export interface FakeServices extends LocalServices {
  set(service: KnownService | undefined): void;
}

export function createFakeServices(): FakeServices {
  const changes = createEmitter<readonly ServiceName[]>();
  let known: KnownService | undefined;
  return {
    get: () => known,
    all: () => (known === undefined ? [] : [known]),
    onChange: changes.subscribe,
    set(service) {
      known = service;
      changes.emit([CART]);
    },
  };
}
