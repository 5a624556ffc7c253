/**
 * Look-ups in the list of kinds. The name of a kind on the wire is that of the enum (`KIND_SLICE`).
 */
import type { Kind } from "@isthmus/proto";
import { RECORD_KINDS } from "./kinds/index.js";
import type { RecordKind } from "./kinds/record-kind.js";

/** All kinds, in apply order. */
export const KINDS: readonly Kind[] = RECORD_KINDS.map(({ kind }) => kind);

/** The kinds that may be in a store; the others are only sent on the local cluster's stream. */
export const STORE_KINDS: readonly Kind[] = RECORD_KINDS.filter(({ exported }) => exported).map(({ kind }) => kind);

const ALL: readonly RecordKind[] = RECORD_KINDS;
const BY_KIND: ReadonlyMap<Kind, RecordKind> = new Map(ALL.map((each) => [each.kind, each]));
const BY_SEGMENT: ReadonlyMap<string, Kind> = new Map(ALL.map(({ kind, segment }) => [segment, kind]));
const RANK: ReadonlyMap<Kind, number> = new Map(KINDS.map((kind, rank) => [kind, rank]));

/** Undefined for a kind this version does not know. */
export function recordKind(kind: Kind): RecordKind | undefined {
  return BY_KIND.get(kind);
}

/** `slices` for `KIND_SLICE`; "" for a kind this version does not know. */
export function kindSegment(kind: Kind): string {
  return BY_KIND.get(kind)?.segment ?? "";
}

/** Number of names after the segment in keys of a kind; 0 for a kind this version does not know. */
export function namesInKey(kind: Kind): number {
  return BY_KIND.get(kind)?.names.length ?? 0;
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

/** Place of a kind in the apply order, from 0; of a kind of a newer version the last one. */
export function applyRank(kind: Kind): number {
  return RANK.get(kind) ?? KINDS.length;
}

/** Sorts by apply order, then key. A kind of a newer version comes last. */
export function byApplyOrder(a: Keyed, b: Keyed): number {
  const rank = applyRank(a.kind) - applyRank(b.kind);
  return rank !== 0 ? rank : a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
}

/** Sorts deletions: the reverse of the apply order. */
export function byDeleteOrder(a: Keyed, b: Keyed): number {
  return byApplyOrder(b, a);
}
