/**
 * One cluster of a scenario. In: Kubernetes objects. Out: records, by the apiserver's own projection.
 *
 * `own` are the records for its agents, `exported` those in the store for other clusters. Pods of cluster 1 are in 10.11.0.0/16,
 * those of 2 in 10.12.0.0/16, and so on.
 */
import { createLocalRecords, nodeFacts, serviceFacts, sliceFacts } from "@isthmus/apiserver";
import type { KubeObject } from "@isthmus/kube";
import {
  type ClusterId,
  type ClusterName,
  MeshError,
  parseClusterId,
  parseClusterName,
  parsePrefix,
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
  const lastGood = new Map<string, Parameters<LastGood["set"]>[1]>();
  const records = createLocalRecords(lastGoodOf(lastGood), [parsePrefix(`10.1${idText}.0.0/16`)]);
  const objects = new Map<string, KubeObject>();
  const own = new Map<string, HashedRecord>();
  const exported = new Map<string, HashedRecord>();
  const events: string[] = [];
  let version = 0n;

  function feed(object: KubeObject, gone: boolean): ClusterChange {
    const key = objectKey(object);
    const item = <T>(value: T) => ({ key, uid: object.metadata.uid ?? "", version: ++version, value });
    const change = <T>(value: T) =>
      gone ? { deletes: [item(value)], sets: [] } : { deletes: [], sets: [item(value)] };
    if (object.kind === "Service") records.takeServices(change(serviceFacts(object)));
    else if (object.kind === "EndpointSlice") records.takeSlices(change(sliceFacts(object)));
    else if (object.kind === "Node") records.takeNodes(change(nodeFacts(object)));
    else throw new MeshError({ code: "SCENARIO" }, `Cannot take an object of kind "${object.kind}"`);
    const flushed = records.takeChanges();
    for (const { facts, note } of flushed.notes) events.push(`${facts.service} ${note.reason}: ${note.sentence}`);
    track(own, flushed.local);
    track(exported, flushed.exported);
    return flushed;
  }

  return {
    name: parseClusterName(nameText),
    id: parseClusterId(Number(idText)),
    own,
    exported,
    events,
    apply(object) {
      const named = withUid(object);
      objects.set(`${object.kind} ${objectKey(object)}`, named);
      return feed(named, false);
    },
    remove(kind, key) {
      const object = objects.get(`${kind} ${key}`);
      if (object === undefined) throw new MeshError({ code: "SCENARIO" }, `Cannot delete ${kind} "${key}": not there`);
      objects.delete(`${kind} ${key}`);
      return feed(object, true);
    },
  };
}

type LastGood = Parameters<typeof createLocalRecords>[0];

function lastGoodOf(map: Map<string, Parameters<LastGood["set"]>[1]>): LastGood {
  return {
    get: (uid) => map.get(uid),
    set: (uid, good) => void map.set(uid, good),
    delete: (uid) => void map.delete(uid),
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
