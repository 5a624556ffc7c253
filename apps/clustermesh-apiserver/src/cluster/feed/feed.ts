/**
 * One watched resource of the local cluster, as the code for all resources knows it.
 *
 *   object ──facts()──► facts ──take()──► what the feed keeps ──takeChanges()──► records for agents, for export, and notes
 *
 * A resource is added with a folder for its feed and a line in ../feeds.ts.
 */
import type { Change, KubeObject, ReportedEvent, Resource } from "@isthmus/kube";
import type { Prefix, RescueAfter } from "@isthmus/model";
import type { ClusterAuditMode, PolicyScope } from "@isthmus/policy";
import type { VersionType } from "@isthmus/records";
import type { RecordChange } from "./record-diff.js";

/** Objects that were added, changed or deleted. */
export type FactsChange<Facts> = Pick<Change<Facts>, "deletes" | "sets">;

export interface Feed<Facts = unknown> {
  /** What is listed and watched, in all namespaces. */
  readonly resource: Resource;
  /** The resource may not exist: then another that always does. Absent: it exists. */
  readonly whileAbsent?: Resource;
  /** The place of its resource version in the position of the local cluster. */
  readonly versionType: VersionType;
  /** What is kept of an object: all that its records and notes need, and no reference to the object. */
  facts(object: KubeObject): Facts;
  /** Takes changes in the order in which Kubernetes reported them. */
  take(change: FactsChange<Facts>): void;
  /** Absent when the objects are joined with those of another feed, which has the records of both. */
  readonly records?: FeedRecords;
}

export interface FeedRecords {
  /** Records that depend on the settings are in the next `takeChanges`. */
  configure(settings: LocalSettings): void;
  /** What changed since the last call. */
  takeChanges(): FeedChanges;
  /** Called when the changes of the last `takeChanges` are in the indexes. */
  applied?(): void;
}

export interface FeedChanges {
  /** Records for the agents of this cluster. */
  readonly local: RecordChange;
  /** Records for other clusters. */
  readonly exported: RecordChange;
  /** Events for the users of the objects, each note once. */
  readonly notes: readonly ReportedEvent[];
}

/** The settings of this cluster that its records depend on; one that is undefined stays unchanged. */
export interface LocalSettings {
  /** Ranges of the whole cluster: what is outside of them is not exported. */
  readonly podCidrs?: readonly Prefix[];
  /** Ranges of ClusterIPs, for the NODE_CONFIG records. */
  readonly serviceCidrs?: readonly Prefix[];
  /** For Services without an annotation of it. */
  readonly rescueAfter?: RescueAfter;
  /** Whose pods a selector of a Cilium policy means that asks for no cluster. */
  readonly policyScope?: PolicyScope;
  /** Of pods and namespaces without an annotation about it. */
  readonly auditMode?: ClusterAuditMode;
}
