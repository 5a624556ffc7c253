/**
 * Identity numbers: `u32 = cluster id (12 bits) << 20 | local (20 bits)`.
 *
 * Local numbers of a cluster start at 256. Cluster 0 holds the reserved numbers 1..255, cluster 4095 is node-local.
 * In JavaScript a shift is signed: every number made here is `>>> 0`.
 */
import { type ClusterId, MAX_CLUSTER_ID, MeshError } from "@isthmus/model";
import { RESERVED } from "./reserved.js";

/** A security identity as in records and maps. Made only by the functions of this file. */
export type IdentityNumber = number & { readonly __brand: "IdentityNumber" };

export const LOCAL_BITS = 20;
export const MIN_LOCAL = 256;
export const MAX_LOCAL = (1 << LOCAL_BITS) - 1;
/** Cluster bits of identities that never leave a node (CIDR and FQDN). */
export const NODE_LOCAL_CLUSTER = 4095;

/** The number of an identity that `cluster` allocates. Throws `IDENTITY` when one of the parts is out of range. */
export function identityNumber(cluster: ClusterId, local: number): IdentityNumber {
  if (!Number.isInteger(local) || local < MIN_LOCAL || local > MAX_LOCAL) {
    throw new MeshError(
      { code: "IDENTITY", value: local },
      `Cannot use local identity "${local}": it must be a whole number from ${MIN_LOCAL} to ${MAX_LOCAL}`,
    );
  }
  return (((cluster << LOCAL_BITS) | local) >>> 0) as IdentityNumber;
}

/** A number that has a meaning on one node only. Throws `IDENTITY` when the local number is out of range. */
export function nodeLocalIdentity(local: number): IdentityNumber {
  return identityNumber(NODE_LOCAL_CLUSTER as ClusterId, local);
}

/** What addresses in the pod ranges of a cluster have of which nothing else is known; no cluster allocates it. */
export function unmanagedIdentity(cluster: ClusterId): IdentityNumber {
  return (((cluster << LOCAL_BITS) | RESERVED.unmanaged) >>> 0) as IdentityNumber;
}

/** Cluster bits: 0 = reserved, 4095 = node-local, else a cluster id. */
export function identityCluster(identity: number): number {
  return identity >>> LOCAL_BITS;
}

/** The lower 20 bits. */
export function identityLocal(identity: number): number {
  return identity & MAX_LOCAL;
}

/** True when `cluster` may allocate `identity`: the cluster bits match, and the local number is at least `MIN_LOCAL`. */
export function isIdentityOf(identity: number, cluster: ClusterId): boolean {
  return identityCluster(identity) === cluster && identityLocal(identity) >= MIN_LOCAL;
}

/**
 * Reads the decimal text of a key or of an object's name; the only text accepted is the one `formatIdentity` writes.
 * Throws `IDENTITY` otherwise.
 */
export function parseIdentity(text: string): IdentityNumber {
  const value = /^[1-9]\d{0,9}$/.test(text) ? Number(text) : Number.NaN;
  const cluster = identityCluster(value);
  const known = cluster === 0 ? value < MIN_LOCAL : cluster <= MAX_CLUSTER_ID || cluster === NODE_LOCAL_CLUSTER;
  if (!(value <= 0xffff_ffff) || !known || (cluster !== 0 && identityLocal(value) < MIN_LOCAL)) {
    throw new MeshError({ code: "IDENTITY", value: text }, `Cannot read "${text}" as an identity number`);
  }
  return value as IdentityNumber;
}

/** Decimal, without leading zeros: the text in keys and object names. */
export function formatIdentity(identity: IdentityNumber): string {
  return String(identity);
}
