/**
 * The decoded records of one cluster: a `ClusterView` that is updated record by record.
 *
 * `upsert` and `remove` return the Service that the record belongs to. A value that does not decode changes nothing.
 */
import type { ClusterId, ClusterName, ServiceName } from "@isthmus/model";
import { Kind, Node, Service } from "@isthmus/proto";
import { readSlice } from "./read-slice.js";
import { parseServiceKey } from "./service-key.js";
import { createTextPool } from "./text-pool.js";
import type { ClusterView, SliceView } from "./types.js";

export interface ClusterState extends ClusterView {
  /** Stores a record. Rethrows errors of the decoder. Returns undefined for kinds that belong to no Service. */
  upsert(kind: Kind, key: string, value: Uint8Array): ServiceName | undefined;
  /** Forgets a record, also one that was never stored. Returns the Service as `upsert` does. */
  remove(kind: Kind, key: string): ServiceName | undefined;
}

export interface ClusterOptions {
  /** Its name; unique among the clusters of a merger. */
  readonly cluster: ClusterName;
  /** The real id, also for the local cluster. */
  readonly id: ClusterId;
  /** True for one cluster: whose Services are merged, and whose ServiceConfigs apply. */
  readonly local: boolean;
}

/** A cluster without records. */
export function createClusterState(options: ClusterOptions): ClusterState {
  const services = new Map<ServiceName, Service>();
  const slices = new Map<ServiceName, Map<string, SliceView>>();
  const nodes = new Map<string, Node>();
  const owner = { ...options, texts: createTextPool() };

  function setSlice(service: ServiceName, name: string, slice: SliceView): void {
    const byName = slices.get(service);
    if (byName === undefined) slices.set(service, new Map([[name, slice]]));
    else byName.set(name, slice);
  }

  function deleteSlice(service: ServiceName, name: string): void {
    const byName = slices.get(service);
    byName?.delete(name);
    if (byName?.size === 0) slices.delete(service);
  }

  return {
    ...options,
    services,
    slices,
    nodes,
    upsert(kind, key, value) {
      if (kind === Kind.KIND_NODE) nodes.set(nodeName(key), Node.decode(value));
      const parsed = parseServiceKey(kind, key);
      if (parsed === undefined) return undefined;
      if (kind === Kind.KIND_SERVICE) services.set(parsed.service, Service.decode(value));
      if (kind === Kind.KIND_SLICE) setSlice(parsed.service, parsed.slice ?? "", readSlice(owner, value));
      return parsed.service;
    },
    remove(kind, key) {
      if (kind === Kind.KIND_NODE) nodes.delete(nodeName(key));
      const parsed = parseServiceKey(kind, key);
      if (parsed === undefined) return undefined;
      if (kind === Kind.KIND_SERVICE) services.delete(parsed.service);
      if (kind === Kind.KIND_SLICE) deleteSlice(parsed.service, parsed.slice ?? "");
      return parsed.service;
    },
  };
}

/** `nodes/<node>` */
function nodeName(key: string): string {
  return key.slice(key.indexOf("/") + 1);
}
