/**
 * One cluster of a scenario. In: Kubernetes objects. Out: records, by the apiserver's own projection.
 *
 * `own` are the records for its agents, `exported` those in the store for other clusters. Pods of cluster 1 are in 10.11.0.0/16,
 * those of 2 in 10.12.0.0/16, and so on.
 */
import { createFeeds, createLastGood, createLocalRecords } from "@isthmus/apiserver";
import type { KubeObject } from "@isthmus/kube";
import {
  type ClusterId,
  type ClusterName,
  MeshError,
  parseClusterId,
  parseClusterName,
  parsePrefix,
  systemClock,
} from "@isthmus/model";
import type { Kind } from "@isthmus/proto";
import type { HashedRecord } from "@isthmus/records";

export interface RecordChange {
  readonly upserts: readonly HashedRecord[];
  readonly deletes: readonly { readonly kind: Kind; readonly key: string }[];
}

export interface ClusterChange {
  readonly local: RecordChange;
  readonly exported: RecordChange;
}

export interface TestCluster {
  readonly name: ClusterName;
  readonly id: ClusterId;
  readonly own: ReadonlyMap<string, HashedRecord>;
  readonly exported: ReadonlyMap<string, HashedRecord>;
  /** Sentences of the Events that it would write, with the Service. */
  readonly events: readonly string[];
  apply(object: KubeObject): ClusterChange;
  remove(kind: string, key: string): ClusterChange;
}

export function createTestCluster(nameText: string, idText: string): TestCluster {
  const [name, id] = [parseClusterName(nameText), parseClusterId(Number(idText))];
  const modules = {
    ...{ cluster: name, id, clock: systemClock, lastGood: createLastGood() },
    policies: { lastGood: createLastGood() },
  };
  const feeds = createFeeds([parsePrefix(`10.1${idText}.0.0/16`)], modules).all;
  const records = createLocalRecords(feeds);
  const objects = new Map<string, KubeObject>();
  const own = new Map<string, HashedRecord>();
  const exported = new Map<string, HashedRecord>();
  const events: string[] = [];
  let version = 0n;

  function take(object: KubeObject, gone: boolean): ClusterChange {
    const key = objectKey(object);
    const feed = feeds.find(({ resource }) => resource.kind === object.kind);
    if (feed === undefined) throw new MeshError({ code: "SCENARIO" }, `Cannot take an object of kind "${object.kind}"`);
    const item = { key, uid: object.metadata.uid ?? "", version: ++version, value: feed.facts(object) };
    feed.take(gone ? { deletes: [item], sets: [] } : { deletes: [], sets: [item] });
    const flushed = records.takeChanges();
    for (const { namespace, name, reason, note } of flushed.notes)
      events.push(`${namespace}/${name} ${reason}: ${note}`);
    track(own, flushed.local);
    track(exported, flushed.exported);
    return flushed;
  }

  return {
    ...{ name, id },
    own,
    exported,
    events,
    apply(object) {
      const named = withUid(object);
      objects.set(`${object.kind} ${objectKey(object)}`, named);
      return take(named, false);
    },
    remove(kind, key) {
      const object = objects.get(`${kind} ${key}`);
      if (object === undefined) throw new MeshError({ code: "SCENARIO" }, `Cannot delete ${kind} "${key}": not there`);
      objects.delete(`${kind} ${key}`);
      return take(object, true);
    },
  };
}

function withUid(object: KubeObject): KubeObject {
  const { metadata } = object;
  return { ...object, metadata: { ...metadata, uid: metadata.uid ?? `uid-${objectKey(object)}` } };
}

export function objectKey({ metadata }: KubeObject): string {
  return metadata.namespace === undefined ? `${metadata.name}` : `${metadata.namespace}/${metadata.name}`;
}

function track(records: Map<string, HashedRecord>, { upserts, deletes }: RecordChange): void {
  for (const { key } of deletes) records.delete(key);
  for (const record of upserts) records.set(record.key, record);
}
