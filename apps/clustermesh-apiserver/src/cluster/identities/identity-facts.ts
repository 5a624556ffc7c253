/** A MeshIdentity → the facts that its record and the allocation need (pure). */
import { type IdentityNumber, labelSetKey, parseIdentity } from "@isthmus/identity";
import type { KubeObject, MeshIdentity } from "@isthmus/kube";

export interface IdentityFacts {
  /** The name of the object as a number; undefined when it is none. */
  readonly number: IdentityNumber | undefined;
  /** Name of the object. */
  readonly name: string;
  /** Of the object, for Events. */
  readonly uid: string;
  /** `labelSetKey` of its labels. */
  readonly labels: string;
  /** Wall clock, milliseconds; undefined: not released. */
  readonly releasedAtMs: number | undefined;
  /** Of the object: a write names it, so that it is refused when someone else has written since. */
  readonly resourceVersion: string;
}

/** Never throws. */
export function identityFacts(object: KubeObject): IdentityFacts {
  const { metadata, spec } = object as MeshIdentity;
  const releasedAt = Date.parse(spec?.releasedAt ?? "");
  return {
    number: numberOf(metadata.name ?? ""),
    name: metadata.name ?? "",
    uid: metadata.uid ?? "",
    labels: labelSetKey(new Map(Object.entries(spec?.labels ?? {}))),
    releasedAtMs: Number.isNaN(releasedAt) ? undefined : releasedAt,
    resourceVersion: metadata.resourceVersion ?? "",
  };
}

function numberOf(name: string): IdentityNumber | undefined {
  try {
    return parseIdentity(name);
  } catch {
    return undefined;
  }
}
