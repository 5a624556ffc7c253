/**
 * Positions: where a reader is in a source.
 *
 * Remote source: {store id, revision}. Local cluster: {epoch id, 8 resource versions}, ordered componentwise, so two of
 * them may be unordered. Positions with different store ids are never comparable.
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

export function remotePosition(storeId: Uint8Array, revision: bigint): Position {
  return { storeId: asBuffer(storeId), revision, versions: [] };
}

/** `versions` may be shorter than 8: what is missing is 0. */
export function localPosition(epochId: Uint8Array, versions: readonly bigint[]): Position {
  return { storeId: asBuffer(epochId), revision: 0n, versions: VERSION_TYPES.map((_, i) => versions[i] ?? 0n) };
}

export const STORE_ID_BYTES = 16;

/** True for exactly 16 bytes that are not all zero, as an empty row of `mesh_floors` is. */
export function isStoreId(bytes: Uint8Array): boolean {
  return bytes.length === STORE_ID_BYTES && bytes.some((byte) => byte !== 0);
}

/** How `a` stands to `b`. */
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

/** True when everything of `a` is contained in `b`. */
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
 * A position as the source of this cluster has them (0 = local cluster): a store that has an id, and numbers in the shape of
 * the source. Anything else is neither kept nor compared.
 */
export function isPositionOf(clusterId: number, position: Position | undefined): position is Position {
  if (position === undefined) return false;
  const { storeId, revision, versions } = position;
  if (!isStoreId(storeId)) return false;
  if (clusterId !== 0) return versions.length === 0;
  return revision === 0n && versions.length > 0 && versions.length <= VERSION_TYPES.length;
}
