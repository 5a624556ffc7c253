/**
 * The records that this cluster exports, and their changes: the input of the publisher.
 *
 * NODE records always; SERVICE when global; SLICE when global and shared. `index.announced` is undefined until the local
 * cluster is in sync: nothing may be written to or deleted from the store before.
 */
import type { SourceIndex } from "@isthmus/records";

export interface LocalExports {
  readonly index: SourceIndex;
  /** uid of the kube-system namespace. */
  readonly clusterUid: string;
  /** The epoch of the local cluster and its identity allocator, for `head.epoch`; changes after a restore of Kubernetes. */
  readonly epoch: string;
  /** Age of the last contact with Kubernetes, for `head.kube_age_ms`. */
  kubeAgeMs(): number;
}
