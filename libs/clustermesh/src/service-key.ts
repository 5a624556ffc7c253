/**
 * Which Service a record is about: the last parts of its key, as in the store.
 *
 * `services/<ns>/<name>`, `service-configs/<ns>/<name>` and `slices/<ns>/<name>/<slice>`; other kinds concern no Service.
 */
import { type ServiceName, serviceName } from "@isthmus/model";
import { Kind } from "@isthmus/proto";

/** A record's place: its Service, and the slice's name where it is a slice. */
export interface ServiceKey {
  readonly service: ServiceName;
  readonly slice: string | undefined;
}

const FOLDERS: ReadonlyMap<Kind, readonly [folder: string, parts: number]> = new Map([
  [Kind.KIND_SERVICE, ["services", 3]],
  [Kind.KIND_SLICE, ["slices", 4]],
  [Kind.KIND_SERVICE_CONFIG, ["service-configs", 3]],
]);

/** Undefined for kinds that concern no Service and for keys of another shape. */
export function parseServiceKey(kind: Kind, key: string): ServiceKey | undefined {
  const shape = FOLDERS.get(kind);
  if (shape === undefined) return undefined;
  const parts = key.split("/");
  const [folder, namespace, name, slice] = parts;
  if (folder !== shape[0] || parts.length !== shape[1] || !namespace || !name || slice === "") return undefined;
  return { service: serviceName(namespace, name), slice };
}

/** The Services whose merge a changed record touches: at most one. */
export function dirtyServices(kind: Kind, key: string): readonly ServiceName[] {
  const parsed = parseServiceKey(kind, key);
  return parsed === undefined ? [] : [parsed.service];
}
