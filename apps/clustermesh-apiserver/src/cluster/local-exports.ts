/**
 * What this cluster exports, as the publisher takes it: the records that should stand in the store, and their changes.
 *
 * NODE records always; SERVICE when global; SLICE when global and shared. `index.announced` is undefined until the own
 * cluster is in sync: nothing may be written or deleted before.
 */
import type { SourceIndex } from "@isthmus/records";

export interface LocalExports {
  readonly index: SourceIndex;
  /** uid of the kube-system namespace. */
  readonly clusterUid: string;
  /** Of the identity allocator and of restores: goes into `head`. */
  readonly epoch: string;
  /** Age of the last contact with Kubernetes, for `head.kube_age_ms`. */
  kubeAgeMs(): number;
}
