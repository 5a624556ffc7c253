/**
 * The local cluster's store id: 16 bytes that change when Kubernetes was restored or replaced, so that positions before and
 * after are never compared.
 */
import { createHash } from "node:crypto";

/** `uid` of the kube-system namespace; `epoch` is "" until the first restore is detected. */
export function localStoreId(uid: string, epoch: string): Buffer {
  return createHash("sha256").update(`${uid}\0${epoch}`).digest().subarray(0, 16);
}
