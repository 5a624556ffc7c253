/** Kinds, the order in which they are applied, and the first segment of their keys. */
import { Kind } from "@isthmus/proto";

/** Apply order: identity before endpoint before service. Deletions go in reverse. */
export const KINDS = [
  Kind.KIND_IDENTITY,
  Kind.KIND_NODE,
  Kind.KIND_ENDPOINT,
  Kind.KIND_SERVICE,
  Kind.KIND_SLICE,
  Kind.KIND_SERVICE_CONFIG,
  Kind.KIND_NODE_CONFIG,
] as const;

/** The kinds that may be in a store; the others are only sent on the local cluster's stream. */
export const STORE_KINDS = [
  Kind.KIND_IDENTITY,
  Kind.KIND_NODE,
  Kind.KIND_ENDPOINT,
  Kind.KIND_SERVICE,
  Kind.KIND_SLICE,
] as const;

const SEGMENTS: ReadonlyMap<Kind, string> = new Map([
  [Kind.KIND_IDENTITY, "identities"],
  [Kind.KIND_NODE, "nodes"],
  [Kind.KIND_ENDPOINT, "endpoints"],
  [Kind.KIND_SERVICE, "services"],
  [Kind.KIND_SLICE, "slices"],
  [Kind.KIND_SERVICE_CONFIG, "service-configs"],
  [Kind.KIND_NODE_CONFIG, "node-configs"],
]);
const BY_SEGMENT: ReadonlyMap<string, Kind> = new Map([...SEGMENTS].map(([kind, segment]) => [segment, kind]));
const RANK: ReadonlyMap<Kind, number> = new Map(KINDS.map((kind, rank) => [kind, rank]));

/** `slices` for `KIND_SLICE`; "" for a kind this version does not know. */
export function kindSegment(kind: Kind): string {
  return SEGMENTS.get(kind) ?? "";
}

/** The kind of a relative key by its first segment; undefined for head, fence, config, store and unknown keys. */
export function kindOfKey(key: string): Kind | undefined {
  const slash = key.indexOf("/");
  return slash < 0 ? undefined : BY_SEGMENT.get(key.slice(0, slash));
}

interface Keyed {
  readonly kind: Kind;
  readonly key: string;
}

/** Sorts by apply order, then key. A kind of a newer version comes last. */
export function byApplyOrder(a: Keyed, b: Keyed): number {
  const rank = (RANK.get(a.kind) ?? KINDS.length) - (RANK.get(b.kind) ?? KINDS.length);
  return rank !== 0 ? rank : a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
}

/** Sorts deletions: the reverse of the apply order. */
export function byDeleteOrder(a: Keyed, b: Keyed): number {
  return byApplyOrder(b, a);
}
