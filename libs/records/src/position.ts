/**
 * Positions: where a reader is in a source.
 *
 * A position of a remote source is {store id, revision}. One of the local cluster is {epoch id, 8 resource versions};
 * those are ordered componentwise, so two of them may be unordered. Positions with different store ids cannot be
 * compared.
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
  "reserved",
] as const;
export type VersionType = (typeof VERSION_TYPES)[number];

/** `storeId` has 16 bytes and is not copied; `revision` is etcd's. */
export function remotePosition(storeId: Uint8Array, revision: bigint): Position {
  return { storeId: asBuffer(storeId), revision, versions: [] };
}

/** `versions` may have fewer than 8 items; missing ones are 0. */
export function localPosition(epochId: Uint8Array, versions: readonly bigint[]): Position {
  return { storeId: asBuffer(epochId), revision: 0n, versions: VERSION_TYPES.map((_, i) => versions[i] ?? 0n) };
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
  for (let i = 0; i < Math.max(a.versions.length, b.versions.length); i++) {
    const [x, y] = [a.versions[i] ?? 0n, b.versions[i] ?? 0n];
    older ||= x < y;
    newer ||= x > y;
  }
  return older ? (newer ? "unordered" : "older") : newer ? "newer" : "equal";
}

/** True when `a` is equal to or older than `b`. */
export function isAtMost(a: Position, b: Position): boolean {
  const order = comparePositions(a, b);
  return order === "equal" || order === "older";
}

/** Componentwise maximum of two positions of the same store. */
export function joinPositions(a: Position, b: Position): Position {
  const versions = Array.from({ length: Math.max(a.versions.length, b.versions.length) }, (_, i) =>
    larger(a.versions[i] ?? 0n, b.versions[i] ?? 0n),
  );
  return { storeId: b.storeId, revision: larger(a.revision, b.revision), versions };
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
  const { storeId, revision, versions } = position;
  if (!isStoreId(storeId)) return false;
  if (clusterId !== 0) return versions.length === 0;
  return revision === 0n && versions.length > 0 && versions.length <= VERSION_TYPES.length;
}
