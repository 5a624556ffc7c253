/**
 * The key layout of a store. All keys of Isthmus are below `/mesh/v1/`.
 *
 *   /mesh/v1/ids/<cluster id>                ClusterClaim {name, uid}: claimed by create-if-absent, never rewritten
 *   /mesh/v1/c/<cluster>/store               16 random bytes, written by the cluster's publisher when absent:
 *                                            a different id, or none, means that the store was wiped or restored
 *   /mesh/v1/c/<cluster>/fence               Fence {instance}: the instance that may write
 *   /mesh/v1/c/<cluster>/head                Head {seq, state, sums, beat}: last operation of every live txn
 *   /mesh/v1/c/<cluster>/config              ClusterConfig {name, id, uid, CIDRs, version}
 *   /mesh/v1/c/<cluster>/identities/<number>
 *   /mesh/v1/c/<cluster>/nodes/<node>
 *   /mesh/v1/c/<cluster>/endpoints/<ip>
 *   /mesh/v1/c/<cluster>/services/<ns>/<service>
 *   /mesh/v1/c/<cluster>/slices/<ns>/<service>/<slice>
 *
 * Values are messages of proto/mesh/v1/state.proto, except for the store id. The part of a key after a cluster's prefix
 * is the record's relative key, which its hash covers. A cluster's etcd user may read all of `/mesh/v1/` and write its
 * own prefix and exactly its own `ids/<id>`.
 */
import type { ClusterId, ClusterName } from "@isthmus/model";

export const ROOT_PREFIX = "/mesh/v1/";

/** Keys beside the records, relative to a cluster's prefix. */
export const STORE_KEY = "store";
export const FENCE_KEY = "fence";
export const HEAD_KEY = "head";
export const CONFIG_KEY = "config";

/** Ends with a slash: record keys are appended to it. */
export function clusterPrefix(cluster: ClusterName): string {
  return `${ROOT_PREFIX}c/${cluster}/`;
}

/** An absolute key, outside of any cluster's prefix. */
export function claimKey(id: ClusterId): string {
  return `${ROOT_PREFIX}ids/${id}`;
}

/** The end of the range of all keys that begin with `prefix` (ASCII, not empty). */
export function prefixEnd(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}

/** Keys of Isthmus are ASCII; other keys may be any bytes and are kept unchanged, one character for each byte. */
export function keyText(key: Buffer): string {
  return key.toString("latin1");
}

/** The inverse of `keyText`. */
export function keyBytes(text: string): Buffer {
  return Buffer.from(text, "latin1");
}
