/**
 * Finds the Service that a record belongs to by its key (libs/records/src/kinds/); nodes, for example, belong to none.
 */
import type { ServiceName } from "@isthmus/model";
import { Kind } from "@isthmus/proto";
import { parseKey } from "@isthmus/records";

/** The Service of a record, and the name of the slice if the record is one. */
export interface ServiceKey {
  /** `namespace/name`, as in the key. */
  readonly service: ServiceName;
  /** Name of the EndpointSlice; undefined for a Service and its config. */
  readonly slice: string | undefined;
}

/** Undefined for kinds that belong to no Service, and for keys of another kind. */
export function parseServiceKey(kind: Kind, key: string): ServiceKey | undefined {
  const parsed = parseKey(key);
  if (parsed === undefined || parsed.kind !== kind) return undefined;
  if (parsed.kind === Kind.KIND_SLICE) return { service: parsed.service, slice: parsed.slice };
  if (parsed.kind === Kind.KIND_SERVICE || parsed.kind === Kind.KIND_SERVICE_CONFIG) {
    return { service: parsed.service, slice: undefined };
  }
  return undefined;
}

/** The Services that must be merged again after a record changed: at most one. */
export function dirtyServices(kind: Kind, key: string): readonly ServiceName[] {
  const parsed = parseServiceKey(kind, key);
  return parsed === undefined ? [] : [parsed.service];
}
