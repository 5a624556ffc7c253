/** Which Service a record is about, told by its key (libs/records/src/keys.ts); nodes and the like concern none. */
import type { ServiceName } from "@isthmus/model";
import { Kind } from "@isthmus/proto";
import { parseKey } from "@isthmus/records";

/** A record's place: its Service, and the slice's name where it is a slice. */
export interface ServiceKey {
  readonly service: ServiceName;
  readonly slice: string | undefined;
}

/** Undefined for kinds that concern no Service, and for keys that are not of that kind. */
export function parseServiceKey(kind: Kind, key: string): ServiceKey | undefined {
  const parsed = parseKey(key);
  if (parsed === undefined || parsed.kind !== kind) return undefined;
  if (parsed.kind === Kind.KIND_SLICE) return { service: parsed.service, slice: parsed.slice };
  if (parsed.kind === Kind.KIND_SERVICE || parsed.kind === Kind.KIND_SERVICE_CONFIG) {
    return { service: parsed.service, slice: undefined };
  }
  return undefined;
}

/** The Services whose merge a changed record touches: at most one. */
export function dirtyServices(kind: Kind, key: string): readonly ServiceName[] {
  const parsed = parseServiceKey(kind, key);
  return parsed === undefined ? [] : [parsed.service];
}
