/**
 * Positions: where a reader is in a source.
 *
 * A position of a remote source is {store id, revision}. One of the local cluster is {epoch id, a resource version per type};
 * those are ordered componentwise, so two of them may be unordered. Positions with different store ids cannot be
 * compared.
 *
 * On the wire the first 8 types are `versions` and the others `added`: a reader of the first version refuses more than 8. What it
 * sends has no `added`, and is compared without.
 */
import type { Position } from "@isthmus/proto";
import { asBuffer, sameBytes } from "./hash.js";

export type PositionOrder = "equal" | "older" | "newer" | "unordered" | "other-store";

/** Resource types of the local cluster's vector, by index. */
export const VERSION_TYPES = [
  "services",
  "endpointslices",
  "nodes",
  "pods",
  "identities",
  "policies",
  "namespaces",
  "ciliumnetworkpolicies",
  "ciliumclusterwidenetworkpolicies",
  "ciliumcidrgroups",
] as const;
export type VersionType = (typeof VERSION_TYPES)[number];

/** Types in `versions`, and the most that `added` may have. */
export const POSITION_TYPES = { versions: 8, added: 8 } as const;

/** `storeId` has 16 bytes and is not copied; `revision` is etcd's. */
export function remotePosition(storeId: Uint8Array, revision: bigint): Position {
  return { storeId: asBuffer(storeId), revision, versions: [], added: [] };
}

/** By index of VERSION_TYPES; missing versions are 0. */
export function localPosition(epochId: Uint8Array, versions: readonly bigint[]): Position {
  const all = VERSION_TYPES.map((_, i) => versions[i] ?? 0n);
  const first = POSITION_TYPES.versions;
  return { storeId: asBuffer(epochId), revision: 0n, versions: all.slice(0, first), added: all.slice(first) };
}

/** The resource versions of a position of the local cluster, by index of VERSION_TYPES; empty for one of a remote source. */
export function versionsOf({ versions, added }: Position): readonly bigint[] {
  if (added.length === 0) return versions;
  return [...Array.from({ length: POSITION_TYPES.versions }, (_, i) => versions[i] ?? 0n), ...added];
}

/** The revision, or for the local cluster the newest resource version; 0 without a position. */
export function newestRevision(position: Position | undefined): bigint {
  if (position === undefined) return 0n;
  let max = position.revision;
  for (const version of versionsOf(position)) if (version > max) max = version;
  return max;
}

export const STORE_ID_BYTES = 16;

/** True for exactly 16 bytes that are not all zero; an empty row of `mesh_floors` has all zeros. */
export function isStoreId(bytes: Uint8Array): boolean {
  return bytes.length === STORE_ID_BYTES && bytes.some((byte) => byte !== 0);
}

/** The order of `a` relative to `b`. */
export function comparePositions(a: Position, b: Position): PositionOrder {
  if (!sameBytes(a.storeId, b.storeId)) return "other-store";
  let [older, newer] = [a.revision < b.revision, a.revision > b.revision];
  const compare = (all: readonly bigint[], others: readonly bigint[]): void => {
    for (let i = 0; i < Math.max(all.length, others.length); i++) {
      const [x, y] = [all[i] ?? 0n, others[i] ?? 0n];
      older ||= x < y;
      newer ||= x > y;
    }
  };
  compare(a.versions, b.versions);
  if (a.added.length > 0 && b.added.length > 0) compare(a.added, b.added);
  return older ? (newer ? "unordered" : "older") : newer ? "newer" : "equal";
}

/** True when `a` is equal to or older than `b`. */
export function isAtMost(a: Position, b: Position): boolean {
  const order = comparePositions(a, b);
  return order === "equal" || order === "older";
}

/** Componentwise maximum of two positions of the same store. */
export function joinPositions(a: Position, b: Position): Position {
  return {
    storeId: b.storeId,
    revision: larger(a.revision, b.revision),
    versions: largest(a.versions, b.versions),
    added: largest(a.added, b.added),
  };
}

function largest(a: readonly bigint[], b: readonly bigint[]): bigint[] {
  return Array.from({ length: Math.max(a.length, b.length) }, (_, i) => larger(a[i] ?? 0n, b[i] ?? 0n));
}

function larger(a: bigint, b: bigint): bigint {
  return b > a ? b : a;
}

/**
 * True for a valid position of this cluster's source (0 = local cluster): it has a store id, and a revision or versions
 * as that kind of source has them. Other positions are neither kept nor compared.
 */
export function isPositionOf(clusterId: number, position: Position | undefined): position is Position {
  if (position === undefined) return false;
  const { storeId, revision, versions, added } = position;
  if (!isStoreId(storeId)) return false;
  if (clusterId !== 0) return versions.length === 0 && added.length === 0;
  const fits = versions.length > 0 && versions.length <= POSITION_TYPES.versions;
  return revision === 0n && fits && added.length <= POSITION_TYPES.added;
}
